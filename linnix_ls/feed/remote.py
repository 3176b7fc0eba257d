"""A feed that an agent serves, seen from the client's side of the socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from linnix_ls import __version__, procfs
from linnix_ls.codec import CodecError
from linnix_ls.core.changes import FindingChanged
from linnix_ls.core.events import Source
from linnix_ls.core.findings import Finding, State
from linnix_ls.core.history import RunDetail, RunSummary
from linnix_ls.core.ids import ProcessKey
from linnix_ls.core.policy import Policy
from linnix_ls.errors import AgentError, AgentTooOld
from linnix_ls.feed import protocol
from linnix_ls.feed.access import access_of
from linnix_ls.feed.base import (
    FeedChange,
    FeedState,
    FeedStatus,
    ProcessView,
    Snapshot,
    StackView,
    StatusChanged,
    StopOutcome,
    hand_out,
)
from linnix_ls.feed.playground import RemotePlayground
from linnix_ls.playground.base import Playground
from linnix_ls.revision import revision
from linnix_ls.thresholds import changed

CONNECT_TIMEOUT_S = 5.0
# An agent that a service manager starts for us compiles its probes first: two seconds, on a busy
# machine several times that.
HELLO_TIMEOUT_S = 20.0
SERVICE = "linnix-ls-agent.service"
REQUEST_TIMEOUT_S = 15.0
# Longer than the agent gives a compiler, which may have to wait for its turn.
PROBE_TIMEOUT_S = 60.0


class RemoteFeed:
    """See `feed.base.Feed`. Made by `connect`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: dict[str, Any]
    ) -> None:
        snapshot = protocol.SNAPSHOT.validate_python(first["snapshot"])
        self.agent_pid: int = first["hello"]["pid"]
        self._hint = _other_version(first["hello"])
        self._restart = _restart_command(self.agent_pid)
        self._methods = frozenset(first["hello"].get("methods", protocol.FIRST_METHODS))
        self._reader, self._writer = reader, writer
        self._playground = RemotePlayground(self._request)
        self._sequence = snapshot.sequence
        self._status = replace(snapshot.status, hint=self._hint)
        self._findings: dict[str, Finding] = {f.id: f for f in snapshot.findings}
        self._callbacks: list[Callable[[FeedChange], None]] = []
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._is_closing = False
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, path: Path, *, hello_timeout_s: float = HELLO_TIMEOUT_S) -> RemoteFeed:
        """Connect to the agent that listens at `path`.

        Args:
            hello_timeout_s: an agent that loads its probes lets clients wait.

        Raises:
            AgentError: nobody listens, it is not to be trusted, or it speaks another protocol.
        """
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_unix_connection(str(path), limit=protocol.MAX_MESSAGE_BYTES),
                CONNECT_TIMEOUT_S,
            )
        except PermissionError as error:
            access = access_of(path)
            if access is None or access.problem is None:
                raise AgentError(f"no agent at {path}: {error.strerror}") from error
            raise AgentError(access.problem, fix=access.fix) from error
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or "no answer"
            raise AgentError(f"no agent at {path}: {reason}") from error
        try:
            connection: socket.socket = writer.get_extra_info("socket")
            uid = protocol.peer_credentials(connection).uid
            if not protocol.is_trusted_server(uid):
                raise AgentError(f"the agent at {path} belongs to user {uid}: not trusted")
            first = protocol.decode(await asyncio.wait_for(reader.readline(), hello_timeout_s))
            if "error" in first:
                raise AgentError(first["error"]["message"], fix=first["error"]["fix"])
            if first["hello"]["protocol"] != protocol.PROTOCOL:
                raise AgentError(
                    f"the agent at {path} is version {first['hello'].get('version')}",
                    fix=_restart_command(first["hello"].get("pid"))
                    + f"   (this is version {__version__})",
                )
            return cls(reader, writer, first)
        except AgentError:
            writer.close()
            raise
        except TimeoutError as error:
            writer.close()
            raise AgentError(f"the agent at {path} does not answer") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            writer.close()
            raise AgentError(f"what listens at {path} is no linnix-ls agent") from error

    # -- Feed ----------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        return Snapshot(self._sequence, self._status, tuple(self._findings.values()))

    def subscribe(self, callback: Callable[[FeedChange], None]) -> Callable[[], None]:
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._callbacks.remove(callback)

        return unsubscribe

    async def watch(
        self,
        pid: int,
        label: str,
        *,
        is_run: bool = False,
        is_root_judged: bool = False,
        source: Source = Source.OTHER,
    ) -> ProcessKey:
        more = {"source": str(source)} if "runs" in self._methods else {}
        result = await self._request(
            "watch", pid=pid, label=label, is_run=is_run, is_root_judged=is_root_judged, **more
        )
        return protocol.KEY.validate_python(result)

    async def unwatch(self, key: ProcessKey) -> None:
        await self._request("unwatch", **key._asdict())

    async def watch_tag(self, value: str, source: Source, label: str | None) -> None:
        await self._request("watch_tag", value=value, source=str(source), label=label)

    async def unwatch_tag(self, value: str) -> None:
        await self._request("unwatch_tag", value=value)

    async def ignore(self, pid: int) -> None:
        await self._request("ignore", pid=pid)

    async def watch_folders(self, folders: Sequence[str]) -> None:
        await self._request("watch_folders", folders=list(folders))

    async def allow_jvm_attach(self, is_allowed: bool) -> None:
        await self._request("allow_jvm_attach", is_allowed=is_allowed)

    async def use_thresholds(self, policy: Policy) -> None:
        await self._request("use_thresholds", thresholds=changed(policy))

    async def status(self) -> FeedStatus:
        status = protocol.STATUS.validate_python(await self._request("status"))
        self._status = replace(status, hint=self._hint)
        return self._status

    async def process_tree(self) -> tuple[ProcessView, ...]:
        return protocol.PROCESS_VIEWS.validate_python(await self._request("process_tree"))

    async def runs(self) -> tuple[RunSummary, ...]:
        return protocol.RUNS.validate_python(await self._request("runs"))

    async def run(self, key: ProcessKey, since: int | None = None) -> RunDetail | None:
        result = await self._request("run", **key._asdict(), since=since)
        return protocol.RUN.validate_python(result)

    async def stack(self, key: ProcessKey) -> StackView:
        return protocol.STACK.validate_python(await self._request("stack", **key._asdict()))

    async def stop_process(self, key: ProcessKey, *, tree: bool = False) -> StopOutcome:
        return StopOutcome(await self._request("stop_process", **key._asdict(), tree=tree))

    async def dismiss(self, finding_id: str) -> None:
        await self._request("dismiss", finding_id=finding_id)

    async def record_inputs(self) -> None:
        await self._request("record_inputs")

    @property
    def playground(self) -> Playground | None:
        return self._playground if "probe_check" in self._methods else None

    async def close(self) -> None:
        self._is_closing = True
        self._callbacks.clear()
        self._writer.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # -- the wire ------------------------------------------------------------------------------

    async def _request(self, method: str, **params: Any) -> Any:
        if self._task.done():
            raise AgentError("the agent has gone")
        if method not in self._methods:
            raise AgentTooOld(
                f"the agent is older than this client: it cannot do {method!r}", fix=self._restart
            )
        self._next_id += 1
        request_id = self._next_id
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._replies[request_id] = reply
        self._writer.write(protocol.encode({"id": request_id, "method": method, "params": params}))
        try:
            timeout_s = PROBE_TIMEOUT_S if method.startswith("probe_") else REQUEST_TIMEOUT_S
            return await asyncio.wait_for(reply, timeout_s)
        except TimeoutError:
            raise AgentError(f"the agent did not answer to {method}") from None
        finally:
            self._replies.pop(request_id, None)

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                self._on_message(protocol.decode(line))
        except (OSError, ValueError, KeyError, TypeError, CodecError, ValidationError):
            pass  # it broke off, or talks nonsense: both are the end of it
        self._writer.close()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(AgentError("the agent has gone"))
        # An agent whose tracer broke down has said why, before it went.
        if not (self._is_closing or self._status.state is FeedState.OFF):
            self._status = FeedStatus(FeedState.OFF, self._status.tracer, "the agent has gone")
            self._hand_out(FeedChange(self._sequence + 1, StatusChanged(self._status)))

    def _on_message(self, message: dict[str, Any]) -> None:
        if "change" in message:
            sequence, tagged = message["change"]
            self._hand_out(FeedChange(sequence, protocol.CHANGES.load(tagged)))
            return
        reply = self._replies.get(message["id"])
        if reply is None or reply.done():
            return
        if "error" in message:
            reply.set_exception(
                # What one of another version refuses, it may not know.
                AgentError(
                    message["error"]["message"], fix=message["error"].get("fix") or self._hint
                )
            )
        else:
            reply.set_result(message["result"])

    def _hand_out(self, change: FeedChange) -> None:
        self._sequence = change.sequence
        if isinstance(change.change, FindingChanged):
            finding = change.change.finding
            if finding.state is State.CLEARED:
                self._findings.pop(finding.id, None)
            else:
                self._findings[finding.id] = finding
        elif isinstance(change.change, StatusChanged):
            self._status = replace(change.change.status, hint=self._hint)
            change = replace(change, change=StatusChanged(self._status))
        hand_out(change, self._callbacks)


def _other_version(hello: dict[str, Any]) -> str | None:
    """In words, that the agent is not of our code; None when it is. We go on either way: what one
    of the two does not know is refused by itself."""
    version, pid = hello.get("version"), hello.get("pid")
    if (version, hello.get("revision")) == (__version__, revision()):
        return None
    theirs = f"version {version}" if version != __version__ else "another build of this version"
    return (
        f"the agent is {theirs}, this is {__version__}; should anything go amiss, restart it: "
        + _restart_command(pid)
    )


def _restart_command(pid: object) -> str:
    """By who has started it."""
    if not isinstance(pid, int):
        return "restart it"
    if f"/{SERVICE}" in _control_group(pid):
        return f"sudo systemctl restart {SERVICE}"
    return f"sudo kill {pid}"


def _control_group(pid: int) -> str:
    return (procfs.read_bytes(f"/proc/{pid}/cgroup", 1 << 12) or b"").decode(errors="replace")
