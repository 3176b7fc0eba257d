"""The agent's side of the socket: one `LocalFeed` for each client, by its credentials."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError

from linnix_ls import __version__
from linnix_ls.core.events import Source
from linnix_ls.core.ids import ProcessKey
from linnix_ls.errors import AgentError, AlreadyServing, LinnixError
from linnix_ls.feed import protocol
from linnix_ls.feed.base import FeedChange
from linnix_ls.feed.local import Hub, LocalFeed
from linnix_ls.playground.base import MAX_SOURCE_BYTES, ServedPlayground
from linnix_ls.playground.dialect import Dialect
from linnix_ls.private import why_not_private
from linnix_ls.revision import revision
from linnix_ls.rights import Rights
from linnix_ls.thresholds import Thresholds

MAX_CLIENTS = 128
MAX_CLIENTS_OF_USER = 32  # but for root's: nobody's clients keep all others out
# A client that reads no more is let go: what it misses it would never make up.
MAX_UNREAD_BYTES = 16 << 20
MAX_UNREAD_BYTES_OF_USER = 64 << 20
# While that much is asked and not answered, no more is read: the kernel makes the client wait.
MAX_OUTSTANDING = 32
MAX_OUTSTANDING_BYTES = 2 << 20
MAX_LABEL_CHARS = 500


class _Params(BaseModel):
    # Each is built when it is asked for first: most clients ask for two or three.
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class _Request(_Params):
    id: int
    method: str
    params: dict[str, Any] = {}


_Source = Annotated[Source, Strict(False)]  # on the wire it is a string


# A label may be a whole command line, of which the beginning tells enough.
_Label = Annotated[str, AfterValidator(lambda label: label[:MAX_LABEL_CHARS])]


class _Watch(_Params):
    pid: int
    label: _Label
    is_run: bool = False
    is_root_judged: bool = False
    source: _Source = Source.OTHER


class _Key(_Params):
    pid: int
    start_ticks: int


class _Stop(_Key):
    tree: bool = False


class _Run(_Key):
    since: int | None = None


class _Tag(_Params):
    value: str


class _WatchTag(_Tag):
    source: _Source = Source.OTHER
    label: _Label | None = None


class _Pid(_Params):
    pid: int


class _Folders(_Params):
    # No path has a NUL in it.
    folders: Annotated[
        list[Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=4096)]], Field(max_length=100)
    ]


class _Permission(_Params):
    is_allowed: bool


class _Thresholds(_Params):
    thresholds: Thresholds


class _FindingId(_Params):
    finding_id: str


_Dialect = Annotated[Dialect, Strict(False)]
_Source_text = Annotated[str, Field(max_length=MAX_SOURCE_BYTES)]


class _ProbeCheck(_Params):
    dialect: _Dialect
    name: Annotated[str, Field(max_length=4096)]
    source: _Source_text


class _ProbeLoad(_ProbeCheck):
    ttl_s: Annotated[float, Field(gt=0, strict=False)]


class _ProbeReplace(_Params):
    probe_id: str
    source: _Source_text
    trial_s: Annotated[float, Field(ge=0, le=600, strict=False)]


class _ProbeOwnReplace(_Params):
    files: dict[Annotated[str, Field(max_length=100)], _Source_text]
    trial_s: Annotated[float, Field(ge=0, le=600, strict=False)]


class _ProbeRead(_Params):
    probe_id: str
    since_event: int
    is_whole: bool = False


class _ProbeId(_Params):
    probe_id: str


_FEWER_CLIENTS = "close an editor, or wait for a `linnix-ls run` to end"

# By who asks: the peer, and the groups that it is in.
OpenPlayground = Callable[[protocol.Peer, frozenset[int]], Awaitable[ServedPlayground]]


class FeedServer:
    """Listens for clients.

    Args:
        path: where to listen.
        on_idle: called when the last client has gone.
        listener: a socket that listens already, which its opener keeps: `path` is then nothing to
            make or to take away.
        open_playground: gives a client's; None: there is none here.
        removes_folder: at the end, too, that of the socket, if there is nothing else in it.
    """

    def __init__(
        self,
        hub: Hub,
        path: Path,
        on_idle: Callable[[], None],
        listener: socket.socket | None = None,
        open_playground: OpenPlayground | None = None,
        *,
        removes_folder: bool = False,
    ) -> None:
        self._removes_folder = removes_folder
        self._open_playground = open_playground
        self._hub = hub
        self._path = path
        self._on_idle = on_idle
        self._clients: set[asyncio.Task[None]] = set()
        self._of_user: defaultdict[int, set[asyncio.StreamWriter]] = defaultdict(set)
        self.has_had_clients = False
        self._server: asyncio.Server | None = None
        self._listener = listener
        self._is_passed = listener is not None
        self._made: os.stat_result | None = None  # what we have put there
        self._lock_fd: int | None = None

    @property
    def has_clients(self) -> bool:
        return bool(self._clients)

    async def start(self) -> None:
        """Let clients in; `bind` has come before."""
        self._server = await asyncio.start_unix_server(
            self._accept, sock=self._listener, limit=protocol.MAX_REQUEST_BYTES
        )

    async def stop(self) -> None:
        """Close everything and take the socket away."""
        if self._server is not None:
            self._server.close()
        elif self._listener is not None:
            self._listener.close()
        for task in tuple(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        with contextlib.suppress(OSError):
            # Only ours: a service manager may have put its own in this place meanwhile.
            if self._made is not None and os.path.samestat(self._path.lstat(), self._made):
                self._path.unlink()
        if self._lock_fd is not None:
            if self._removes_folder:
                with contextlib.suppress(OSError):
                    self._path.with_suffix(".lock").unlink()
                    self._path.parent.rmdir()
            os.close(self._lock_fd)

    def bind(self) -> None:
        """Take the place; clients wait in the queue from now on.

        Raises:
            AlreadyServing: another agent has it.
            AgentError: the place cannot be used.
        """
        if self._is_passed:
            return
        folder = self._path.parent
        try:
            if not folder.is_dir():
                # Whatever the umask: other users' clients may come in.
                before = os.umask(0o022)
                try:
                    folder.mkdir(parents=True)
                finally:
                    os.umask(before)
            if reason := why_not_private(folder):
                raise AgentError(f"{reason}; not used", fix="name another place with --socket PATH")
            self._lock()
            if os.path.lexists(self._path) and not self._path.is_socket():
                raise FileExistsError(errno.EEXIST, "there is something else of that name")
            if _is_served(self._path):
                raise AlreadyServing(f"another agent already serves {self._path}")
            self._path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            before = os.umask(0o177)  # nobody comes in before all may
            try:
                self._listener.bind(str(self._path))
            finally:
                os.umask(before)
            self._made = self._path.lstat()
            self._listener.listen(MAX_CLIENTS)
            # Anybody may connect; the kernel says who it is, and each sees only its own.
            os.chmod(self._path, 0o666 if os.geteuid() == 0 else 0o600)
        except OSError as error:
            raise AgentError(
                f"cannot listen on {self._path}: {error.strerror or error}",
                fix="name another place with --socket PATH",
            ) from error

    def refuse(self, error: LinnixError) -> None:
        """Tell those who wait in the queue why there will be no agent."""
        if self._listener is None:
            return
        self._listener.setblocking(False)
        with contextlib.suppress(OSError):
            while True:
                waiting, _ = self._listener.accept()
                with waiting:
                    message = {"message": error.message, "fix": error.fix}
                    waiting.send(protocol.encode({"error": message}))

    def _lock(self) -> None:
        """Who holds the lock is the agent: a socket file without it is a dead one's."""
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        lock_fd = os.open(self._path.with_suffix(".lock"), flags, 0o600)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock_fd)
            if isinstance(error, BlockingIOError):
                raise AlreadyServing(f"another agent already serves {self._path}") from None
            raise
        self._lock_fd = lock_fd

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = writer.get_extra_info("socket")
        peer = protocol.peer_credentials(connection)
        theirs = self._of_user[peer.uid]
        if refusal := self._refusal(peer.uid, len(theirs)):
            writer.write(protocol.encode({"error": {"message": refusal, "fix": _FEWER_CLIENTS}}))
            writer.close()
            return
        self._clients.add(task)
        theirs.add(writer)
        self.has_had_clients = True
        groups = protocol.peer_groups(connection)
        rights = None if peer.uid == 0 else Rights(peer.uid, peer.gid, groups)
        feed = self._hub.open(peer.uid, rights=rights)
        playground = None
        if self._open_playground:
            playground = _Playground(partial(self._open_playground, peer, groups))
        try:
            await _Connection(feed, playground, reader, writer, theirs).serve()
        except (ConnectionError, asyncio.LimitOverrunError, ValueError):
            pass  # gone, or not one of ours
        finally:
            self._clients.discard(task)
            theirs.discard(writer)
            if not theirs:
                self._of_user.pop(peer.uid, None)
            if playground:
                await playground.close()
            await feed.close()
            writer.close()
            if not self._clients:
                self._on_idle()

    def _refusal(self, uid: int, n_theirs: int) -> str | None:
        if len(self._clients) >= MAX_CLIENTS:
            return f"the agent has {MAX_CLIENTS} clients already"
        if uid != 0 and n_theirs >= MAX_CLIENTS_OF_USER:
            return f"the agent has {MAX_CLIENTS_OF_USER} clients of user {uid} already"
        return None


def _is_served(path: Path) -> bool:
    """Whether somebody listens there who needs no lock: a service manager, for its agent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(str(path))
        except BlockingIOError:  # its queue is full
            return True
        except OSError:
            return False
    return True


class _Playground:
    """One client's, opened when it is asked for first."""

    def __init__(self, opening: Callable[[], Awaitable[ServedPlayground]]) -> None:
        self._opening = opening
        self._lock = asyncio.Lock()
        self._opened: ServedPlayground | None = None

    async def get(self) -> ServedPlayground:
        async with self._lock:
            if self._opened is None:
                self._opened = await self._opening()
            return self._opened

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()


class _Connection:
    def __init__(
        self,
        feed: LocalFeed,
        playground: _Playground | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        of_user: Collection[asyncio.StreamWriter],
    ) -> None:
        self._feed = feed
        self._of_user = of_user
        self._outstanding_bytes = 0
        self._playground = playground
        self._methods = protocol.METHODS | (protocol.PLAYGROUND_METHODS if playground else set())
        self._reader = reader
        self._writer = writer
        self._requests: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        hello = {
            "protocol": protocol.PROTOCOL,
            "version": __version__,
            "revision": revision(),
            "pid": os.getpid(),
            "methods": sorted(self._methods),
        }
        snapshot = protocol.SNAPSHOT.dump_plain(self._feed.snapshot())
        self._send({"hello": hello, "snapshot": snapshot})
        self._feed.subscribe(self._on_change)
        try:
            while line := await self._reader.readline():
                task = asyncio.create_task(self._answer(line))
                self._requests.add(task)
                self._outstanding_bytes += len(line)
                task.add_done_callback(partial(self._on_answered, len(line)))
                while (
                    len(self._requests) >= MAX_OUTSTANDING
                    or self._outstanding_bytes > MAX_OUTSTANDING_BYTES
                ):
                    await asyncio.wait(self._requests, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tuple(self._requests):
                task.cancel()

    def _on_answered(self, n_bytes: int, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        self._outstanding_bytes -= n_bytes

    def _on_change(self, change: FeedChange) -> None:
        self._send({"change": [change.sequence, protocol.CHANGES.dump(change.change)]})

    def _send(self, message: dict[str, Any]) -> None:
        self._write(protocol.encode(message))

    def _write(self, line: bytes) -> None:
        if self._writer.transport.is_closing():
            return
        self._writer.write(line)
        n_unread = self._writer.transport.get_write_buffer_size()
        if n_unread > MAX_UNREAD_BYTES or (
            # Seldom: most is on its way at once.
            n_unread > MAX_UNREAD_BYTES_OF_USER // MAX_CLIENTS_OF_USER
            and sum(each.transport.get_write_buffer_size() for each in self._of_user)
            > MAX_UNREAD_BYTES_OF_USER
        ):
            self._writer.transport.abort()

    async def _answer(self, line: bytes) -> None:
        request_id: int | None = None
        try:
            request = _Request.model_validate_json(line)
            request_id = request.id
            if request.method not in self._methods:
                raise AgentError(f"there is no method {request.method!r}")
            if request.method in protocol.PLAYGROUND_METHODS:
                assert self._playground is not None  # else there are no such methods
                self._probes = await self._playground.get()
            result = await getattr(self, f"_{request.method}")(request.params)
            if isinstance(result, bytes):  # JSON already, where there may be much of it
                self._write(b'{"id":%d,"result":%b}\n' % (request_id, result))
            else:
                self._send({"id": request_id, "result": result})
        except ValidationError as error:
            detail = error.errors()[0]
            where = ".".join(map(str, detail["loc"])) or "request"
            self._fail(request_id, f"{where}: {detail['msg']}", None)
        except LinnixError as error:
            self._fail(request_id, error.message, error.fix)
        except Exception as error:
            # A bug of ours. The client need not wait for an answer that never comes.
            self._fail(request_id, f"the agent failed: {type(error).__name__}: {error}", None)
            raise

    def _fail(self, request_id: Any, message: str, fix: str | None) -> None:
        self._send({"id": request_id, "error": {"message": message, "fix": fix}})

    async def _watch(self, params: Any) -> Any:
        asked = _Watch.model_validate(params)
        return await self._feed.watch(
            asked.pid,
            asked.label,
            is_run=asked.is_run,
            is_root_judged=asked.is_root_judged,
            source=asked.source,
        )

    async def _unwatch(self, params: Any) -> None:
        asked = _Key.model_validate(params)
        await self._feed.unwatch(ProcessKey(asked.pid, asked.start_ticks))

    async def _watch_tag(self, params: Any) -> None:
        asked = _WatchTag.model_validate(params)
        await self._feed.watch_tag(asked.value, asked.source, asked.label)

    async def _unwatch_tag(self, params: Any) -> None:
        await self._feed.unwatch_tag(_Tag.model_validate(params).value)

    async def _ignore(self, params: Any) -> None:
        await self._feed.ignore(_Pid.model_validate(params).pid)

    async def _watch_folders(self, params: Any) -> None:
        await self._feed.watch_folders(_Folders.model_validate(params).folders)

    async def _allow_jvm_attach(self, params: Any) -> None:
        await self._feed.allow_jvm_attach(_Permission.model_validate(params).is_allowed)

    async def _use_thresholds(self, params: Any) -> None:
        await self._feed.use_thresholds(_Thresholds.model_validate(params).thresholds)

    async def _status(self, params: Any) -> Any:
        _Params.model_validate(params)
        return protocol.STATUS.dump_plain(await self._feed.status())

    async def _process_tree(self, params: Any) -> Any:
        _Params.model_validate(params)
        views = await self._feed.process_tree()
        return protocol.PROCESS_VIEWS.dump_json(views)

    async def _runs(self, params: Any) -> Any:
        _Params.model_validate(params)
        return protocol.RUNS.dump_json(await self._feed.runs())

    async def _run(self, params: Any) -> Any:
        asked = _Run.model_validate(params)
        detail = await self._feed.run(ProcessKey(asked.pid, asked.start_ticks), asked.since)
        return protocol.RUN.dump_json(detail)

    async def _stack(self, params: Any) -> Any:
        asked = _Key.model_validate(params)
        view = await self._feed.stack(ProcessKey(asked.pid, asked.start_ticks))
        return protocol.STACK.dump_plain(view)

    async def _stop_process(self, params: Any) -> str:
        asked = _Stop.model_validate(params)
        key = ProcessKey(asked.pid, asked.start_ticks)
        return await self._feed.stop_process(key, tree=asked.tree)

    async def _dismiss(self, params: Any) -> None:
        await self._feed.dismiss(_FindingId.model_validate(params).finding_id)

    async def _probe_check(self, params: Any) -> Any:
        asked = _ProbeCheck.model_validate(params)
        checked = await self._probes.check(asked.dialect, asked.name, asked.source)
        return protocol.CHECKED.dump_plain(checked)

    async def _probe_load(self, params: Any) -> Any:
        asked = _ProbeLoad.model_validate(params)
        handle = await self._probes.load(asked.dialect, asked.name, asked.source, ttl_s=asked.ttl_s)
        return protocol.PROBE_HANDLE.dump_plain(handle)

    async def _probe_replace(self, params: Any) -> Any:
        asked = _ProbeReplace.model_validate(params)
        handle = await self._probes.replace(asked.probe_id, asked.source, trial_s=asked.trial_s)
        return protocol.PROBE_HANDLE.dump_plain(handle)

    async def _probe_read(self, params: Any) -> Any:
        asked = _ProbeRead.model_validate(params)
        reading = await self._probes.read(
            asked.probe_id, asked.since_event, is_whole=asked.is_whole
        )
        return protocol.PROBE_READING.dump_plain(reading)

    async def _probe_unload(self, params: Any) -> None:
        await self._probes.unload(_ProbeId.model_validate(params).probe_id)

    async def _probe_own(self, params: Any) -> Any:
        _Params.model_validate(params)
        return protocol.OWN_PROBES.dump_plain(await self._probes.own())

    async def _probe_own_replace(self, params: Any) -> Any:
        asked = _ProbeOwnReplace.model_validate(params)
        own = await self._probes.replace_own(asked.files, trial_s=asked.trial_s)
        return protocol.OWN_PROBES.dump_plain(own)

    async def _probe_own_read(self, params: Any) -> Any:
        _Params.model_validate(params)
        return protocol.PROBE_READING.dump_plain(await self._probes.read_own())

    async def _probe_knowledge(self, params: Any) -> str:
        _Params.model_validate(params)
        return await self._probes.knowledge()

    async def _record_inputs(self, params: Any) -> None:
        _Params.model_validate(params)
        await self._feed.record_inputs()
