"""The playground as a service: each client checks as the user that it is, one source at a time.

In the agent `Service` has the privilege to ask the verifier; in a language server without an agent
`LocalPlayground` compiles as far as that goes without. Running probes for real is a `Runner`'s
business; who may is decided here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from linnix_ls.errors import PlaygroundError, Superseded, TracerUnavailable
from linnix_ls.invocation import enable_tracing
from linnix_ls.playground import permission
from linnix_ls.playground.base import (
    MAX_SOURCE_BYTES,
    Checked,
    OwnProbes,
    ProbeHandle,
    ProbeReading,
)
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.checker import Request, try_out
from linnix_ls.playground.diagnosis import diagnose
from linnix_ls.playground.dialect import Dialect
from linnix_ls.playground.headers import header_folders
from linnix_ls.playground.knowledge import root
from linnix_ls.playground.permission import Client
from linnix_ls.playground.sandbox import User, landlock_version

# Compilers take a CPU and some 300 MB each, whoever asks for them.
MAX_CHECKS_AT_ONCE = 2
MAIN_FILE = "probe.bpf.c"
MAX_WAITING = 16  # documents of a client


class Runner(Protocol):
    """Probes that run for one client, and write down what is loaded. `close`: end them all."""

    async def load(
        self, dialect: Dialect, name: str, source: str, *, ttl_s: float
    ) -> ProbeHandle: ...

    async def replace(self, probe_id: str, source: str, *, trial_s: float) -> ProbeHandle: ...

    async def read(
        self, probe_id: str, since_event: int, *, is_whole: bool = False
    ) -> ProbeReading: ...

    async def unload(self, probe_id: str) -> None: ...

    async def close(self) -> None: ...


OpenRunner = Callable[[Client], Runner]


class OwnRunner(Protocol):
    """The product's own probes, for one client. `close`: its edits end."""

    async def own(self) -> OwnProbes: ...

    async def replace(self, files: dict[str, str], *, trial_s: float) -> OwnProbes: ...

    async def read(self, *, is_trusted: bool) -> ProbeReading:
        """Without maps and events for who is not trusted."""
        ...

    async def close(self) -> None: ...


OpenOwn = Callable[[Client], OwnRunner]


class Checks:
    """Checks of one client: one at a time, and of one document only the newest."""

    def __init__(self, at_once: asyncio.Semaphore | None = None) -> None:
        self._at_once = at_once or asyncio.Semaphore(MAX_CHECKS_AT_ONCE)
        self._one_at_a_time = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[Checked]] = {}

    async def run(
        self, name: str, make: Callable[[], Awaitable[Request]], user: User | None
    ) -> Checked:
        """Of the document of that name. `make` is called here: which text is the newest is decided
        by when they came, not by how long it took to make a request of them.

        Raises:
            Superseded: there is a newer text of the same name.
        """
        if before := self._tasks.pop(name, None):
            before.cancel()
        if len(self._tasks) >= MAX_WAITING:
            raise PlaygroundError("too many documents are being checked", fix="try again later")
        task = asyncio.create_task(self._run(make, user))
        self._tasks[name] = task
        try:
            return await task
        except asyncio.CancelledError:
            if self._tasks.get(name) is not task:
                raise Superseded("there is a newer text") from None
            raise
        finally:
            if self._tasks.get(name) is task:
                del self._tasks[name]

    async def _run(self, make: Callable[[], Awaitable[Request]], user: User | None) -> Checked:
        request = await make()
        async with self._one_at_a_time, self._at_once:
            trial = await try_out(request, user)
            # A long log takes a while to read.
            return await asyncio.to_thread(diagnose, request, trial)

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def make_request(
    cache: Path, dialect: Dialect, source: str, *, may_load: bool = True
) -> Request:
    """What the compiler is told; of the file's name nothing: it may be anything.

    Raises:
        PlaygroundError: the source is too large, or nothing can be compiled on this machine.
    """
    if len(source.encode(errors="surrogateescape")) > MAX_SOURCE_BYTES:
        raise PlaygroundError(
            f"a probe of more than {MAX_SOURCE_BYTES >> 10} KB is not checked",
            fix="make it smaller",
        )
    try:
        headers, include = await asyncio.to_thread(header_folders, cache)
    except TracerUnavailable as error:
        raise PlaygroundError(error.message, fix=error.fix) from error
    except OSError as error:
        raise PlaygroundError(f"headers of this kernel cannot be made: {error}") from error
    # C has no word for it, and C strings end there.
    source = source.replace("\0", "\N{REPLACEMENT CHARACTER}")
    contexts = CSource(source).contexts
    return Request(dialect, MAIN_FILE, source, headers, include, contexts, may_load)


class Service:
    """The agent's. `open_runner` None: nothing is run for real; `open_own` None: the product's
    own probes stay as they are."""

    def __init__(
        self,
        cache: Path,
        open_runner: OpenRunner | None = None,
        open_own: OpenOwn | None = None,
    ) -> None:
        self._cache = cache
        self._open_runner = open_runner
        self._open_own = open_own
        self._at_once = asyncio.Semaphore(MAX_CHECKS_AT_ONCE)
        self._refusals = permission.Refusals()

    def open(self, client: Client) -> ClientPlayground:
        """For one connection."""
        runner = self._open_runner(client) if self._open_runner else None
        own = self._open_own(client) if self._open_own else None
        return ClientPlayground(
            self._cache, client, Checks(self._at_once), runner, own, refusals=self._refusals
        )


class ClientPlayground:
    """See `base.ServedPlayground`: that of one client of the agent."""

    def __init__(
        self,
        cache: Path,
        client: Client,
        checks: Checks,
        runner: Runner | None,
        own: OwnRunner | None,
        *,
        refusals: permission.Refusals,
    ) -> None:
        self._refusals = refusals
        self._cache = cache
        self._client = client
        self._checks = checks
        self._runner = runner
        self._own = own

    async def check(self, dialect: Dialect, name: str, source: str) -> Checked:
        user = User(self._client.uid, self._client.gid)
        if user.uid != os.geteuid() and not landlock_version():
            raise PlaygroundError(
                "this kernel cannot fence in a compiler (landlock), so the agent checks no source"
                " of users"
            )
        return await self._checks.run(
            name, lambda: make_request(self._cache, dialect, source), user
        )

    async def load(self, dialect: Dialect, name: str, source: str, *, ttl_s: float) -> ProbeHandle:
        self._require_permission(name, source)
        return await self._running().load(dialect, name, source, ttl_s=ttl_s)

    async def replace(self, probe_id: str, source: str, *, trial_s: float) -> ProbeHandle:
        self._require_permission(probe_id, source)
        return await self._running().replace(probe_id, source, trial_s=trial_s)

    async def read(
        self, probe_id: str, since_event: int, *, is_whole: bool = False
    ) -> ProbeReading:
        return await self._running().read(probe_id, since_event, is_whole=is_whole)

    async def unload(self, probe_id: str) -> None:
        await self._running().unload(probe_id)

    async def own(self) -> OwnProbes:
        return await self._exchangeable().own()

    async def replace_own(self, files: dict[str, str], *, trial_s: float) -> OwnProbes:
        self._require_permission("own", "".join(files.values()))
        return await self._exchangeable().replace(files, trial_s=trial_s)

    async def read_own(self) -> ProbeReading:
        try:
            permission.require_load(self._client)
        except PlaygroundError:
            return await self._exchangeable().read(is_trusted=False)
        return await self._exchangeable().read(is_trusted=True)

    def _exchangeable(self) -> OwnRunner:
        if self._own is None:
            raise PlaygroundError("this agent does not exchange its own probes")
        return self._own

    def _require_permission(self, name: str, source: str) -> None:
        try:
            permission.require_load(self._client)
        except PlaygroundError as error:
            self._refusals.write_down(self._client, name, source, error.message)
            raise

    async def knowledge(self) -> str:
        return await asyncio.to_thread(root.knowledge)

    def _running(self) -> Runner:
        if self._runner is None:
            raise PlaygroundError("this agent runs no probes of its clients")
        return self._runner

    async def close(self) -> None:
        """The client has gone."""
        await self._checks.close()
        if self._runner:
            await self._runner.close()
        if self._own:
            await self._own.close()


class LocalPlayground:
    """See `base.Playground`: without an agent. The verifier is asked if we are privileged
    ourselves."""

    def __init__(self, cache: Path, *, is_privileged: bool) -> None:
        self._cache = cache
        self.is_privileged = is_privileged
        self._checks = Checks()

    async def check(self, dialect: Dialect, name: str, source: str) -> Checked:
        return await self._checks.run(
            name,
            lambda: make_request(self._cache, dialect, source, may_load=self.is_privileged),
            None,
        )

    async def load(self, dialect: Dialect, name: str, source: str, *, ttl_s: float) -> ProbeHandle:
        raise self._no_agent()

    async def replace(self, probe_id: str, source: str, *, trial_s: float) -> ProbeHandle:
        raise self._no_agent()

    async def read(
        self, probe_id: str, since_event: int, *, is_whole: bool = False
    ) -> ProbeReading:
        raise self._no_agent()

    async def unload(self, probe_id: str) -> None:
        raise self._no_agent()

    async def own(self) -> OwnProbes:
        raise self._no_agent()

    async def replace_own(self, files: dict[str, str], *, trial_s: float) -> OwnProbes:
        raise self._no_agent()

    async def read_own(self) -> ProbeReading:
        raise self._no_agent()

    async def knowledge(self) -> str:
        raise self._no_agent()

    def _no_agent(self) -> PlaygroundError:
        return PlaygroundError("an agent runs probes, and there is none", fix=enable_tracing())

    async def close(self) -> None:
        await self._checks.close()
