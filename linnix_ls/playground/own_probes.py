"""The product's own probes, edited while they run: for whom, on trial, and until when.

`OwnProbesHost` is one for the agent, with the tracer whose probes are exchanged; `ClientsOwnProbes`
is one for each client, and what it has edited is as shipped again when it has gone. How probes are
exchanged without losing an event is the tracer's business; here is decided whether they may be, and
whether they stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnix_ls.errors import PlaygroundError, TracerUnavailable
from linnix_ls.playground import permission, policy
from linnix_ls.playground.base import (
    MapReading,
    OwnProbes,
    ProbeEvent,
    ProbeReading,
    ProgramReading,
    Severity,
)
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.checker import try_out, worker_environment
from linnix_ls.playground.diagnosis import diagnose
from linnix_ls.playground.dialect import Dialect
from linnix_ls.playground.loader import ProbeRefused, WriteDown, statistics_fd, user_of
from linnix_ls.playground.permission import Client
from linnix_ls.playground.plain import plain
from linnix_ls.playground.service import make_request
from linnix_ls.tracer.base import ExchangeableTracer, Launch, RecentRecord
from linnix_ls.tracer.bpf_source import PROBE_FILES, place_of, probe_source, shipped

_WORKER = "linnix_ls.playground.own_worker"
# Imported there, by who is asked.
_READING, _COST = "linnix_ls.playground.own_reading", "linnix_ls.playground.own_cost"

CONTRACT = "events.h"
CHECK_INTERVAL_S = 0.5
COST_WINDOW_S = 2.0
# Of one CPU. On trial it is dear if those before are not: a storm of processes makes all work.
MAX_COST_ON_TRIAL, MAX_TIMES_AS_DEAR = 0.05, 2.0
MAX_COST = 0.25
# So many of a kind that the ones before have seen, and none by the new ones, are no chance. A clock
# may fall into step with what runs now and then, each generation's in its own way.
ENOUGH = {"fork": 5, "exec": 5, "exit": 5, "sample": 50}
_KINDS = {
    "fork": "start of a process",
    "exec": "start of a program",
    "exit": "end of a process",
    "sample": "sample of the CPU clock",
}
STATISTICS_KEPT_S = 10.0  # after somebody looked
RETRY_S = 5.0
_DEFINES = "#define RING_PAGES 64\n"  # for the check, which knows of no flags


@dataclass(frozen=True)
class _Edit:
    """Files that are not as shipped, and whose they are."""

    files: dict[str, str]
    owner: ClientsOwnProbes


class OwnProbesHost:
    """Args: write_down: takes a record of each exchange."""

    def __init__(
        self,
        tracer: ExchangeableTracer,
        cache: Path,
        write_down: WriteDown = permission.write_down,
    ) -> None:
        self._tracer = tracer
        self._cache = cache
        self._write_down = write_down
        self._edit: _Edit | None = None  # that runs
        self._before: _Edit | None = None  # what is attached and silent, while one is on trial
        self._is_on_trial = False
        self._exchanged_s = self._began_s = time.monotonic()
        self._note: str | None = None
        self._lock = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._statistics_fd: int | None = None
        self._forget_statistics: asyncio.TimerHandle | None = None
        self._costs: deque[tuple[int, float, int]] = deque(maxlen=10)
        tracer.on_taken_back = self._on_taken_back

    def open(self, client: Client) -> ClientsOwnProbes:
        """For one connection."""
        return ClientsOwnProbes(self, client)

    async def close(self) -> None:
        """The agent ends, and all probes with it."""
        self._end_watch()
        for task in tuple(self._leaving):
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        if self._forget_statistics:
            self._forget_statistics.cancel()
        self._edit = None
        self._release_statistics()

    # -- what clients ask ----------------------------------------------------------------------

    def own(self, client: Client) -> OwnProbes:
        edit = self._edit
        if edit is None:
            return OwnProbes(self._tracer.generation, {}, None, self._note)
        uid = edit.owner.client.uid
        may_see = client.uid in (0, uid)
        files = {name: text if may_see else "" for name, text in edit.files.items()}
        return OwnProbes(self._tracer.generation, files, uid, self._note)

    async def replace(self, asker: ClientsOwnProbes, files: dict[str, str], trial_s: float) -> None:
        async with self._lock:
            self._require_turn(asker.client)
            edited = _edited(files)
            if edited == (self._edit.files if self._edit else {}):
                # Of one process the newest connection is the one that keeps them.
                self._edit = _Edit(edited, asker) if edited else None
                return
            source = probe_source(edited)
            try:
                launch = await self._launch(asker.client, edited, source)
                await self._tracer.exchange(launch)
            except (PlaygroundError, TracerUnavailable) as error:
                refused = await self._refused(asker.client, edited, error)
                self._audit(asker.client, source, f"refused: {refused.message}")
                raise refused from None
            self._end_watch()
            if not self._is_on_trial:
                self._before = self._edit
            self._edit = _Edit(edited, asker) if edited else None
            self._note = None
            self._audit(asker.client, source, "runs" if edited else "as shipped again")
            if self._edit:
                self._watch(trial_s)
            else:
                await self._keep()
        if asker.is_closed:  # it went meanwhile
            self.leave(asker)

    async def read(self, *, is_trusted: bool) -> ProbeReading:
        self._keep_statistics()
        try:
            told = await self._tracer.ask(_READING, "read")
        except TracerUnavailable as error:
            raise PlaygroundError(error.message, fix=error.fix) from error
        programs = tuple(ProgramReading(**each) for each in told["programs"])
        return ProbeReading(
            programs,
            tuple(map(_map, told["maps"])) if is_trusted else (),
            tuple(map(_event, self._tracer.recent())) if is_trusted else (),
            self._tracer.n_lost,
            self._cost_now(sum(each.run_time_ns for each in programs)),
            time.monotonic() - self._began_s,
            ttl_s=0.0,  # they run as long as the agent
            generation=self._tracer.generation,
            note=self._note,
            n_events=self._tracer.n_events,
        )

    def leave(self, owner: ClientsOwnProbes) -> None:
        """Its edits end; when this returns, that is under way."""
        if self._edit and self._edit.owner is owner:
            task = asyncio.create_task(self._end_edits(owner))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    # -- exchange ------------------------------------------------------------------------------

    def _require_turn(self, client: Client) -> None:
        if self._edit is None or client.uid == 0:
            return
        owner = self._edit.owner.client
        if (owner.uid, owner.pid) != (client.uid, client.pid):
            raise ProbeRefused(
                f"uid {owner.uid}'s edits run; they end with its editor",
                kind="permission",
                fix="wait for that, or have root reset them",
            )

    async def _launch(self, client: Client, edited: dict[str, str], source: str) -> Launch:
        if not edited:
            return self._tracer.shipped
        if problems := policy.source_problems(CSource(source)):
            name, line = place_of(problems[0].span.line, edited)
            raise ProbeRefused(
                f"{name}, line {line}: {problems[0].message}", kind="policy", fix=None
            )
        user = user_of(client)
        self._hold_statistics()
        asked = await make_request(self._cache, Dialect.BCC, source)
        request = {
            "source": asked.source,
            "headers": asked.headers,
            "ring_pages": self._tracer.ring_pages,
            "user": user,
        }
        return Launch(_WORKER, (), request, worker_environment())

    async def _refused(
        self, client: Client, edited: dict[str, str], error: PlaygroundError | TracerUnavailable
    ) -> PlaygroundError:
        """In words, with the place where there is one."""
        if not isinstance(error, TracerUnavailable):
            return error
        message = error.message
        if error.cause in ("load_failed", "worker_died"):
            text = _DEFINES + probe_source(edited)
            asked = await make_request(self._cache, Dialect.BCC, text)
            checked = await asyncio.to_thread(
                diagnose, asked, await try_out(asked, user_of(client))
            )
            problems = [each for each in checked.problems if each.severity is Severity.ERROR]
            if problems:
                line = problems[0].span.line - _DEFINES.count("\n")
                name, line = place_of(line, edited)
                message = f"{name}, line {line}: {problems[0].message}"
                if len(problems) > 1:
                    message += f" (and {len(problems) - 1} more)"
        return ProbeRefused(
            f"{message}. The probes that ran go on", kind=error.cause, fix=error.fix
        )

    async def _keep(self) -> None:
        """What runs now is not on trial."""
        self._before, self._is_on_trial = None, False
        await self._tracer.settle()
        if self._edit:
            self._watch(None)
        else:
            self._release_statistics()

    async def _end_edits(self, owner: ClientsOwnProbes) -> None:
        while self._edit and self._edit.owner is owner:
            async with self._lock:
                if not (self._edit and self._edit.owner is owner):
                    return
                self._end_watch()
                try:
                    await self._go_back(to_shipped=True)
                    outcome = "as shipped again: its editor has gone"
                    self._note = None  # it was for that editor
                except TracerUnavailable as error:
                    outcome = f"its editor has gone, and going back failed: {error.message}"
                    self._note = outcome
                self._audit(owner.client, "", outcome)
            if self._edit:
                await asyncio.sleep(RETRY_S)

    async def _go_back(self, *, to_shipped: bool = False) -> None:
        """To the ones that are silent, if there are some that will do; else to the shipped ones."""
        if self._is_on_trial and not (to_shipped and self._before):
            with contextlib.suppress(TracerUnavailable):  # they have ended
                await self._tracer.go_back()
                self._edit = self._before
                await self._keep()
                return
        await self._tracer.exchange(self._tracer.shipped)
        self._edit = None
        await self._keep()

    # -- trial ---------------------------------------------------------------------------------

    def _watch(self, trial_s: float | None) -> None:
        """Args: trial_s: None: it has stood its trial."""
        self._exchanged_s = time.monotonic()
        self._is_on_trial = trial_s is not None
        self._watching = asyncio.create_task(self._watch_over(trial_s))

    def _end_watch(self) -> None:
        if self._watching is not None and self._watching is not asyncio.current_task():
            self._watching.cancel()
        self._watching = None

    async def _watch_over(self, trial_s: float | None) -> None:
        began_s = time.monotonic()
        missed_before: dict[str, int] = {}
        costs = _Costs()
        while True:
            await asyncio.sleep(CHECK_INTERVAL_S)
            missed = self._tracer.missed()
            # The last ones may be on their way from the new ones, too.
            silent = {kind: n for kind, n in missed_before.items() if kind in missed}
            missed_before = missed
            try:
                why = _silence(silent) or await self._dearness(costs)
            except TracerUnavailable:
                return  # it has died, and the tracer tells us
            if why:
                await self._take_back(why, time.monotonic() - began_s)
                return
            if self._is_on_trial and time.monotonic() - began_s > (trial_s or 0.0):
                async with self._lock:
                    self._before, self._is_on_trial = None, False
                    await self._tracer.settle()

    async def _dearness(self, costs: _Costs) -> str | None:
        ask = self._tracer.ask
        speaking_ns = await ask(_COST, "run_time_ns")
        silent_ns = None
        with contextlib.suppress(TracerUnavailable):
            silent_ns = await ask(_COST, "run_time_ns", silent=True)
        share, share_before = costs.add(speaking_ns, silent_ns)
        if share_before is None:
            limit = MAX_COST
        else:
            limit = max(MAX_COST_ON_TRIAL, MAX_TIMES_AS_DEAR * share_before)
        if share is None or share <= limit:
            return None
        return f"it took {share:.0%} of a CPU, and {limit:.0%} are allowed"

    async def _take_back(self, why: str, after_s: float) -> None:
        async with self._lock:
            failed, edit = self._tracer.generation, self._edit
            if edit is None:
                return
            try:
                await self._go_back()
            except TracerUnavailable as error:
                self._note = f"{why}, and taking it back failed: {error.message}"
                return
            self._say_taken_back(edit, failed, f"after {after_s:.0f} s", why)

    def _on_taken_back(self, reason: str) -> None:
        """It has died, and the tracer has gone back already."""
        edit, self._edit = self._edit, self._before
        self._end_watch()
        self._before, self._is_on_trial = None, False
        if self._edit:
            self._watch(None)
        else:
            self._release_statistics()
        if edit:
            after_s = time.monotonic() - self._exchanged_s
            failed = self._tracer.generation - 1
            self._say_taken_back(edit, failed, f"after {after_s:.0f} s", reason)

    def _say_taken_back(self, edit: _Edit, failed: int, when: str, why: str) -> None:
        what = "the probes before it run" if self._edit else "the shipped probes run"
        self._note = (
            f"generation {failed} was taken back {when}: {why}. {what.capitalize()} again, as"
            f" generation {self._tracer.generation}"
        )
        self._audit(edit.owner.client, probe_source(edit.files), self._note)

    # -- cost ----------------------------------------------------------------------------------

    def _cost_now(self, run_time_ns: int) -> float:
        """Of one CPU, since somebody looked a second ago or longer."""
        generation, now_s = self._tracer.generation, time.monotonic()
        while self._costs and self._costs[0][0] != generation:
            self._costs.popleft()
        self._costs.append((generation, now_s, run_time_ns))
        while len(self._costs) > 2 and self._costs[1][1] <= now_s - 1.0:
            self._costs.popleft()
        _, then_s, before_ns = self._costs[0]
        return max(0, run_time_ns - before_ns) / 1e9 / (now_s - then_s) if now_s > then_s else 0.0

    def _hold_statistics(self) -> None:
        """Raises: ProbeRefused: nothing would tell what it costs."""
        if self._statistics_fd is None:
            self._statistics_fd = statistics_fd()

    def _keep_statistics(self) -> None:
        """For a while: counting costs each program some 20 ns a run."""
        with contextlib.suppress(ProbeRefused):
            self._hold_statistics()
        if self._forget_statistics:
            self._forget_statistics.cancel()
        self._forget_statistics = asyncio.get_running_loop().call_later(
            STATISTICS_KEPT_S, self._release_statistics
        )

    def _release_statistics(self) -> None:
        if self._statistics_fd is not None and self._edit is None:
            os.close(self._statistics_fd)
            self._statistics_fd = None

    def _audit(self, client: Client, source: str, outcome: str) -> None:
        self._write_down(
            *(client, "own", source, outcome),
            event="probe_own_replace",
            generation=self._tracer.generation,
        )


class ClientsOwnProbes:
    """See `service.OwnRunner`: for one client."""

    def __init__(self, host: OwnProbesHost, client: Client) -> None:
        self._host = host
        self.client = client
        self.is_closed = False

    async def own(self) -> OwnProbes:
        """See the protocol."""
        return self._host.own(self.client)

    async def replace(self, files: dict[str, str], *, trial_s: float) -> OwnProbes:
        """See the protocol."""
        await self._host.replace(self, files, trial_s)
        return self._host.own(self.client)

    async def read(self, *, is_trusted: bool) -> ProbeReading:
        """See the protocol."""
        return await self._host.read(is_trusted=is_trusted)

    async def close(self) -> None:
        """The client has gone."""
        self.is_closed = True
        self._host.leave(self)


class _Costs:
    """Shares of one CPU, over a window, of those that speak and those that are silent."""

    def __init__(self) -> None:
        self._measured: deque[tuple[float, int, int | None]] = deque()

    def add(self, speaking_ns: int, silent_ns: int | None) -> tuple[float | None, float | None]:
        """None: not known, or not yet."""
        now_s = time.monotonic()
        self._measured.append((now_s, speaking_ns, silent_ns))
        while len(self._measured) > 2 and self._measured[1][0] <= now_s - COST_WINDOW_S:
            self._measured.popleft()
        then_s, speaking_then_ns, silent_then_ns = self._measured[0]
        if now_s - then_s < COST_WINDOW_S / 2:
            return None, None
        period_ns = (now_s - then_s) * 1e9
        share_before = None
        if silent_ns is not None and silent_then_ns is not None:
            share_before = (silent_ns - silent_then_ns) / period_ns
        return (speaking_ns - speaking_then_ns) / period_ns, share_before


def _edited(files: dict[str, str]) -> dict[str, str]:
    """Those that are not as shipped.

    Raises:
        ProbeRefused: there is no such file, or it is not to be edited.
    """
    for name in files:
        if name not in (CONTRACT, *PROBE_FILES):
            raise ProbeRefused(
                "the product's own probes are in the files " + ", ".join(PROBE_FILES),
                kind="policy",
                fix="load another probe by itself",
            )
    # As an editor may end lines; and no C source has a NUL in it.
    texts = {
        name: text.replace("\r\n", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
        for name, text in files.items()
    }
    edited = {name: text for name, text in texts.items() if text != shipped(name)}
    if CONTRACT in edited:
        raise ProbeRefused(
            f"{CONTRACT} says how the agent reads records, and stays as it was shipped",
            kind="policy",
            fix="declare what is new in scope.h or in the probe itself",
        )
    return edited


def _silence(missed: dict[str, int]) -> str | None:
    kind = next((kind for kind, n in missed.items() if n >= ENOUGH[kind]), None)
    if kind is None:
        return None
    n_seen = missed[kind]
    return f"it told of no {_KINDS[kind]}, and the ones before it saw {n_seen} in that time"


def _map(told: dict[str, Any]) -> MapReading:
    entries = {"entries": tuple(map(tuple, told["entries"])), "per_cpu": tuple(told["per_cpu"])}
    return MapReading(**told | entries)


def _event(recent: RecentRecord) -> ProbeEvent:
    content = recent.content
    fields: dict[str, Any]
    if isinstance(content, bytes):
        fields, ktime_ns = {"raw": content[:1024].hex()}, 0
    else:
        fields = plain(content)
        fields = fields.pop("header") | fields
        fields["kind"] = recent.kind
        ktime_ns = fields["ktime_ns"]
        if "argv" in fields:  # C's text ends at the first NUL; there are as many as arguments
            at = type(content).argv.offset
            raw = bytes(content)[at : at + min(fields["argv_len"], ctypes.sizeof(content) - at)]
            fields["argv"] = [plain(each) for each in raw.rstrip(b"\0").split(b"\0")]
        fields.pop("pad", None)
    return ProbeEvent(recent.sequence, ktime_ns, "events", fields, recent.generation)
