"""Probes that run, as a client edits and watches them: who runs what, and what is known of it.

A document's text is loaded when the user asks for it, and exchanged for a newer one on each save
from then on. Parts of the product's own probes take the place of the shipped ones, together with
the other parts in their folder. What is known is read once a second while somebody looks (a client
asks again for lenses and hints of what it shows, and only of that), and now and then otherwise, to
notice an end; every answer is from memory. What runs ends with the connection to the agent. Not
here: how things look (`probe_lenses`), files (`playground.base.Workbench`), and the exchange itself
(the agent's).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from lsprotocol import types
from pygls.workspace import PositionCodec

from linnix_ls.core.findings import Finding, Kind
from linnix_ls.core.text import visible
from linnix_ls.errors import PlaygroundError
from linnix_ls.invocation import enable_tracing
from linnix_ls.lsp import from_proto, probe_lenses, probe_objects
from linnix_ls.lsp.documents import read_text, split_lines
from linnix_ls.lsp.live_probe import (
    LOOKED_AT_S,
    MAX_SOURCES,
    OWN,
    Probe,
    RunOutcome,
    SourceT,
    problems,
)
from linnix_ls.lsp.probe_figures import Figures
from linnix_ls.playground.base import (
    MAX_AUTHORED_CHARS,
    OwnProbes,
    PartDiff,
    Places,
    Playground,
    ProbeReading,
    Problem,
    Workbench,
)
from linnix_ls.playground.dialect import dialect_of

logger = logging.getLogger(__name__)

SUFFIX = ".bpf.c"
OWN_NAME = "linnix-ls's own probes"
TTL_S = 3600.0
TRIAL_S = 10.0
LOOK_S = 1.0
_NOTICE_S = 10.0
_MAX_FAILURES = 3  # to read it, before it counts as ended

# Which program sees what a finding is made of.
_SEEN_BY = {
    Kind.CPU_SPIN: ("cpu_sampler.bpf.c", "on_cpu_clock"),
    Kind.MEMORY_RUNAWAY: ("cpu_sampler.bpf.c", "on_cpu_clock"),
    Kind.FORK_STORM: ("lifecycle.bpf.c", "raw_tracepoint__sched_process_fork"),
    Kind.STUCK: ("syscalls.bpf.c", "on_sys_exit"),
    Kind.LEAKED_CHILD: ("lifecycle.bpf.c", "raw_tracepoint__sched_process_exit"),
}

LoadWorkbench = Callable[[Callable[[str], str | None]], Awaitable[Workbench]]


class LiveProbes:
    """See the module. Use on the event loop's thread.

    Args:
        load_workbench: called when there is something to do, with a way to read files as the
            client has them.
        playground: waits for the agent's; None where there is none.
        text_of: of an open document, by URI.
        text_at: of any file, by path.
        uri_of: how the client names the file at a path.
        annotate: shows these problems of that document, and no others of ours.
        refresh: has the client ask for lenses and hints again.
        changed: a probe, or its state, is new.
        can_reveal: whether the client has a view of its own for probes.
        is_trusted: whether the user trusts what is in the workspace.
    """

    def __init__(
        self,
        load_workbench: LoadWorkbench,
        playground: Callable[[], Awaitable[Playground | None]],
        codec: PositionCodec,
        *,
        text_of: Callable[[str], str | None],
        text_at: Callable[[str], str | None],
        uri_of: Callable[[str], str],
        annotate: Callable[[str, list[Problem]], None],
        refresh: Callable[[], None],
        changed: Callable[[], None],
        can_reveal: bool,
        is_trusted: bool,
    ) -> None:
        self._load_workbench = load_workbench
        self._wait_for_playground = playground
        self._codec = codec
        self._text_of = text_of
        self._text_at = text_at
        self._uri_of = uri_of
        self._annotate = annotate
        self._refresh = refresh
        self._changed = changed
        self._can_reveal = can_reveal
        self._is_trusted = is_trusted
        self._is_enabled = False
        self._folder: str | None = None
        self._playground: Playground | None = None
        self._workbench: Workbench | None = None
        self._is_loading = asyncio.Lock()
        self._open: dict[str, str] = {}
        self._probes: dict[str, Probe[str]] = {}
        # Before any edit the shipped ones ran.
        self._own: Probe[dict[str, str]] = Probe(
            OWN, None, OWN_NAME, sources=deque([{}], maxlen=MAX_SOURCES)
        )
        self._own_now = OwnProbes(1, {})
        self._is_own_ours = False
        self._ids = itertools.count(1)
        self._looking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unmerged: set[str] = set()

    # -- life ------------------------------------------------------------------------------

    async def use(self, *, is_enabled: bool, folder: str | None) -> None:
        """The settings."""
        was_enabled, self._is_enabled, self._folder = self._is_enabled, is_enabled, folder
        if self._workbench:
            self._workbench.use_folder(folder)
        if was_enabled and not is_enabled:
            await self._detach_all()
        self._tell()

    def agent_changed(self) -> None:
        """There may be another agent, or none."""
        self._do(self._meet_agent())

    async def _meet_agent(self) -> None:
        playground = await self._wait_for_playground()
        if playground is self._playground:
            return
        had_one, self._playground = self._playground is not None, playground
        if had_one:
            for probe in self._all():
                if probe.is_running:
                    probe.problem = "the agent that ran it has gone"
        self._is_own_ours = False
        self._own.generation, self._own.problem = None, None
        self._own.figures = Figures()
        if playground:
            with contextlib.suppress(PlaygroundError):
                self._take_own(await playground.own())
        self._tell()

    async def close(self) -> None:
        """What runs ends with the connection; here only what is under way does."""
        tasks = [*self._tasks, *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- documents -------------------------------------------------------------------------

    def opened(self, uri: str) -> None:
        path = from_proto.path(uri)
        if path and path.endswith(SUFFIX):
            self._open[uri] = path

    def saved(self, uri: str) -> None:
        """What runs of it is exchanged."""
        path = from_proto.path(uri)
        if path is None:
            return
        probe = self._probes.get(uri)
        if (probe and probe.is_running) or (self._is_own_ours and self._is_beside_own(path)):
            self._do(self.run(uri))
        if uri in self._unmerged and self._workbench:
            self._unmerged.discard(uri)
            self._do(asyncio.to_thread(self._workbench.rebase, path))

    def closed(self, uri: str) -> None:
        self._open.pop(uri, None)
        probe = self._probes.get(uri)
        if probe and not probe.is_running:
            self._do(self._forget(uri, probe))

    # -- commands --------------------------------------------------------------------------

    async def run(self, uri: str) -> RunOutcome:
        """The document's text as the client has it, in the place of what runs of it."""
        workbench = await self._bench()
        path = from_proto.path(uri)
        text = self._text_of(uri)
        if text is None and path is not None:
            text = self._text_at(path)
        if path is None or text is None:
            return RunOutcome("refused", "there is no such document")
        if refusal := self._refusal(workbench):
            return refusal
        if workbench.part(path):
            if workbench.is_shipped(path):
                return RunOutcome(
                    "refused",
                    "this is the installed probe, which runs as it is",
                    fix="edit a copy of it, and run that",
                )
            return await self._run_own(uri, workbench.edits(path))
        probe = self._probes.setdefault(
            uri, Probe(f"p{next(self._ids)}", uri, visible(os.path.basename(path), 100))
        )
        return await self._run(probe, _sendable(text), path)

    async def detach(self, uri: str | None, probe_id: str | None) -> RunOutcome:
        """Out of the kernel with it; of the product's own the shipped ones take over."""
        probe = await self._find(uri, probe_id)
        if probe is None or not probe.is_running:
            return RunOutcome("unchanged", "it does not run")
        if probe is self._own:
            if not self._own_now.files:
                return RunOutcome("unchanged", "the shipped probes run", probe.generation)
            outcome = await self._run_own(probe.uri, {})
            self._is_own_ours = False
            if outcome.outcome == "running":
                return RunOutcome("ended", "the shipped probes run again", outcome.generation)
            return outcome
        async with probe.lock:
            try:
                await self._agent().unload(probe.agent_id)
            except PlaygroundError as error:
                return RunOutcome("refused", error.message, probe.generation, error.fix)
            self._drop(probe)
        return RunOutcome("ended", "detached")

    async def roll_back(self, uri: str | None, probe_id: str | None) -> RunOutcome:
        """What ran before."""
        probe = await self._find(uri, probe_id)
        if probe is None or len(probe.sources) < 2:
            return RunOutcome("unchanged", "there is nothing before it to go back to")
        if refusal := self._refusal(await self._bench()):
            return refusal
        newest = probe.sources.pop()
        before = probe.sources.pop()
        if probe is self._own:
            outcome = await self._run_own(probe.uri, before)
        else:
            path = from_proto.path(probe.uri or "") or ""
            outcome = await self._run(probe, before, path)
        if outcome.outcome != "running":
            probe.sources.extend([before, newest])
        return outcome

    async def diff(self, uri: str, against: str) -> PartDiff | None:
        """See `Workbench.diff`; what was told of a change is done with at the next save."""
        workbench = await self._bench()
        path = from_proto.path(uri)
        if path is None:
            return None
        found = await asyncio.to_thread(workbench.diff, path, against_base=against == "base")
        if found and against == "base":
            self._unmerged.add(uri)
        return found

    async def reset(self, uri: str | None) -> RunOutcome:
        """The shipped text in the place of a copy's, or of all copies'."""
        workbench = await self._bench()
        path = from_proto.path(uri) if uri else None
        paths = [path] if path else [each.path for each in workbench.copies()]
        for each in paths:
            text = self._text_of(self._uri_of(each))
            if text is not None and _sendable(text) != _on_disk(each):
                return RunOutcome(
                    "refused",
                    "the document has changes that are not saved",
                    fix="save or undo them",
                )
        edits = workbench.edits(paths[0]) if paths and self._is_own_ours else {}
        n_reset = 0
        try:
            for each in paths:
                n_reset += await asyncio.to_thread(workbench.reset, each)
                # An open document has the old text until the client has seen the new one.
                edits.pop(os.path.basename(each), None)
        except PlaygroundError as error:
            return RunOutcome("refused", error.message, fix=error.fix)
        if not n_reset:
            return RunOutcome("unchanged", "it is as shipped")
        if self._is_own_ours:
            outcome = await self._run_own(self._own.uri, edits)
            if outcome.outcome != "running":
                return outcome
        self._tell()
        return RunOutcome("ended", "reset; what was there is beside it, with a ~", None)

    async def open_probe(self, finding: Finding | None, name: str | None) -> dict[str, Any]:
        """Where the user's copy is, made if need be.

        Raises:
            PlaygroundError: there is no such part, or none can be made.
        """
        program = ""
        if finding:
            name, program = _SEEN_BY[finding.kind]
        workbench = await self._bench()
        path = await asyncio.to_thread(workbench.make_copy, name or "")
        line = self._places(workbench, self._text_at(path) or "").programs.get(program, 1)
        return {"uri": self._uri_of(path), "line": line, "program": program or None}

    async def permission(self) -> dict[str, Any]:
        """Whether we may load, and if not, why, and what to do about it."""
        refusal = self._refusal(await self._bench())
        return {
            "may_load": refusal is None,
            "why": refusal.message if refusal else None,
            "fix": refusal.fix if refusal else None,
        }

    async def page(self, uri: str | None, probe_id: str | None) -> str | None:
        """All that is known, as text; None where nothing runs."""
        probe = await self._find(uri, probe_id)
        if probe is None or probe.generation is None:
            return None
        await self._look_now(probe)
        return probe_lenses.page(probe.name, probe.figures, probe.generation, probe.problem)

    # -- requests --------------------------------------------------------------------------

    async def probes_object(self) -> dict[str, Any]:
        """Of `linnix/probes`."""
        workbench = await self._bench()
        for probe in self._all():
            self._look_at(probe)
        return {
            "permission": await self.permission(),
            "probes": [
                self._summary(workbench, probe)
                for probe in self._all()
                if probe.is_own or probe.generation is not None
            ],
        }

    async def probe_object(self, probe_id: str, since_event: int) -> dict[str, Any] | None:
        """Of `linnix/probe`."""
        workbench = await self._bench()
        probe = next((each for each in self._all() if each.id == probe_id), None)
        if probe is None:
            return None
        await self._look_now(probe)
        lines = self._places_of(workbench, probe.uri).maps
        return probe_objects.detail_object(
            self._summary(workbench, probe), probe.figures, lines, since_event
        )

    async def code_lenses(self, uri: str) -> list[types.CodeLens]:
        """Of a document that is open."""
        path = self._open.get(uri)
        text = self._text_of(uri)
        if path is None or text is None or not self._is_enabled:
            return []
        workbench = await self._bench()
        part = workbench.part(path)
        if part and workbench.is_shipped(path):
            edit = probe_lenses.lens(
                1, "Edit your copy of it", probe_lenses.OPEN_PROBE, [{"name": part}]
            )
            return [edit]
        probe = self._own if part else self._probes.get(uri)
        named = {"uri": uri}
        if refusal := self._refusal(workbench):
            title = f"Not run: {visible(refusal.message, 120)}"
            found = [probe_lenses.lens(1, title, probe_lenses.WHY, [named])]
        elif probe and probe.generation is not None:
            self._look_at(probe)
            if probe.figures.reading is None:
                await self._read(probe)
            found = self._running_lenses(workbench, uri, text, probe)
        else:
            found = [probe_lenses.lens(1, "▷ Run", probe_lenses.RUN, [named])]
        if part:
            found += self._part_lenses(workbench, path, named)
        return found

    def _running_lenses(
        self, workbench: Workbench, uri: str, text: str, probe: Probe[Any]
    ) -> list[types.CodeLens]:
        named = {"uri": uri}
        reveal = probe_lenses.REVEAL_PROBE if self._can_reveal else probe_lenses.SHOW
        show = types.Command(title="", command=reveal, arguments=[{"id": probe.id}])
        if probe.problem:
            title = f"ended: {visible(probe.problem, 120)}"
            return [
                probe_lenses.lens(1, title, show.command, show.arguments),
                probe_lenses.lens(1, "▷ Run again", probe_lenses.RUN, [named]),
            ]
        headline = probe_lenses.headline(probe.figures, probe.generation, probe.ends_in_s)
        if probe.is_own and not self._own_now.files:
            headline = f"as shipped · {headline}"
        found = [probe_lenses.lens(1, headline, show.command, show.arguments)]
        if probe.is_own and not self._is_own_ours:
            found.append(probe_lenses.lens(1, "▷ Run", probe_lenses.RUN, [named]))
        else:
            acts = {
                "Reload": probe_lenses.RELOAD,
                "Detach": probe_lenses.DETACH,
                "Roll back": probe_lenses.ROLL_BACK,
            }
            found += [probe_lenses.lens(1, title, act, [named]) for title, act in acts.items()]
        places = self._places(workbench, text)
        return found + probe_lenses.program_lenses(probe.figures, places, show)

    def _part_lenses(
        self, workbench: Workbench, path: str, named: dict[str, Any]
    ) -> list[types.CodeLens]:
        found = [
            probe_lenses.lens(1, "Diff against shipped", probe_lenses.DIFF, [named]),
            probe_lenses.lens(1, "Reset to shipped", probe_lenses.RESET, [named]),
        ]
        if any(each.path == path and each.is_outdated for each in workbench.copies()):
            title = "The shipped probe has changed since your edit: show how"
            argument = {**named, "against": "base"}
            found.append(probe_lenses.lens(1, title, probe_lenses.DIFF, [argument]))
        return found

    async def code_actions(self, uri: str) -> list[types.CodeAction]:
        """What the lenses do, for a client that has none."""
        return [
            types.CodeAction(
                title=each.command.title.removeprefix("▷ "),
                kind=types.CodeActionKind.QuickFix,
                command=each.command,
            )
            for each in await self.code_lenses(uri)
            if each.command and each.range.start.line == 0
        ]

    async def inlay_hints(self, uri: str, where: types.Range) -> list[types.InlayHint]:
        """Of a document that is open, in these lines."""
        path, text = self._open.get(uri), self._text_of(uri)
        if path is None or text is None:
            return []
        workbench = await self._bench()
        probe = self._own if workbench.part(path) else self._probes.get(uri)
        if probe is None or not probe.is_running or workbench.is_shipped(path):
            return []
        self._look_at(probe)
        lines = split_lines(text)
        return [
            types.InlayHint(
                position=types.Position(
                    line=line - 1, character=self._codec.client_num_units(lines[line - 1])
                ),
                label=label,
                padding_left=True,
            )
            for line, label in probe_lenses.hints(probe.figures, self._places(workbench, text))
            if where.start.line <= line - 1 <= where.end.line and line <= len(lines)
        ]

    # -- running ---------------------------------------------------------------------------

    async def _run(self, probe: Probe[str], text: str, path: str) -> RunOutcome:
        async with probe.lock:
            try:
                agent = self._agent()
                if probe.is_running:
                    handle = await agent.replace(probe.agent_id, text, trial_s=TRIAL_S)
                else:
                    handle = await agent.load(dialect_of(text), probe.name, text, ttl_s=TTL_S)
                    if probe.agent_id and probe.problem:
                        with contextlib.suppress(PlaygroundError):  # what is left of the old one
                            await agent.unload(probe.agent_id)
                    probe.figures = Figures()
            except PlaygroundError as error:
                return self._refused(probe, error)
            probe.agent_id, probe.generation = handle.id, handle.generation
            return await self._runs(probe, text)

    async def _run_own(self, uri: str | None, files: dict[str, str]) -> RunOutcome:
        probe = self._own
        async with probe.lock:
            try:
                now = await self._agent().replace_own(files, trial_s=TRIAL_S)
            except PlaygroundError as error:
                probe.uri = uri
                return self._refused(probe, error)
            probe.uri, self._is_own_ours, self._own_now = uri, True, now
            probe.generation = now.generation
            return await self._runs(probe, files)

    async def _runs(self, probe: Probe[SourceT], source: SourceT) -> RunOutcome:
        probe.problem = probe.note = None
        probe.refused, probe.n_failures = "", 0
        if not probe.sources or probe.sources[-1] != source:
            probe.sources.append(source)
        await self._read(probe)  # which programs it has: lenses that come later push the text
        self._look_at(probe)
        self._tell()
        message = f"{probe.name}: generation {probe.generation} runs"
        return RunOutcome("running", message, probe.generation)

    def _refused(self, probe: Probe[Any], error: PlaygroundError) -> RunOutcome:
        goes_on = f"; generation {probe.generation} goes on" if probe.is_running else ""
        fix = f". Fix: {error.fix}" if error.fix else ""
        probe.refused = f"this text does not run{goes_on}: {error.message}{fix}"
        self._tell()
        message = f"{error.message}{goes_on}"
        return RunOutcome("refused", message, probe.generation, error.fix)

    def _refusal(self, workbench: Workbench) -> RunOutcome | None:
        """Why nothing can be run here."""
        if not self._is_enabled:
            return RunOutcome(
                "refused", "the playground is off", fix="set linnix.playground.enable to true"
            )
        if not self._is_trusted:
            return RunOutcome(
                "refused",
                "this workspace is not trusted, and nothing of it is run",
                fix="trust the workspace, if you know where it comes from",
            )
        if self._playground is None:
            return RunOutcome(
                "refused", "an agent runs probes, and there is none", fix=enable_tracing()
            )
        try:
            workbench.require_load()
        except PlaygroundError as error:
            return RunOutcome("refused", error.message, fix=error.fix)
        return None

    def _agent(self) -> Playground:
        if self._playground is None:
            raise PlaygroundError("an agent runs probes, and there is none", fix=enable_tracing())
        return self._playground

    def _is_beside_own(self, path: str) -> bool:
        own = from_proto.path(self._own.uri or "")
        return bool(
            own
            and os.path.dirname(own) == os.path.dirname(path)
            and self._workbench
            and self._workbench.part(path)
        )

    async def _detach_all(self) -> None:
        for probe in self._all():
            if probe.is_running and (not probe.is_own or self._is_own_ours):
                await self.detach(probe.uri, probe.id)

    async def _forget(self, uri: str, probe: Probe[str]) -> None:
        """What has ended, with its document closed."""
        if self._playground and probe.agent_id:
            with contextlib.suppress(PlaygroundError):
                await self._playground.unload(probe.agent_id)
        if self._probes.get(uri) is probe and not probe.is_running:
            self._drop(probe)

    def _drop(self, probe: Probe[Any]) -> None:
        if probe.uri is not None and self._probes.get(probe.uri) is probe:
            del self._probes[probe.uri]
            self._annotate(probe.uri, [])
        probe.generation = None
        self._changed()
        self._refresh()

    # -- reading ---------------------------------------------------------------------------

    def _look_at(self, probe: Probe[Any]) -> None:
        probe.asked_s = time.monotonic()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking())

    async def _keep_looking(self) -> None:
        """Once a second at what somebody looks at; ends when nothing is left to see."""
        while watched := [each for each in self._all() if self._is_worth_a_look(each)]:
            now_s = time.monotonic()
            due = [
                each
                for each in watched
                if now_s - each.asked_s < LOOKED_AT_S or now_s - each.figures.read_s >= _NOTICE_S
            ]
            if due:
                await asyncio.gather(*map(self._read, due))
                if any(now_s - each.asked_s < LOOKED_AT_S for each in due):
                    self._refresh()
            await asyncio.sleep(LOOK_S)

    def _is_worth_a_look(self, probe: Probe[Any]) -> bool:
        if self._playground is None or not probe.is_running:
            return False
        is_ours = not probe.is_own or self._is_own_ours
        return is_ours or time.monotonic() - probe.asked_s < LOOKED_AT_S

    async def _look_now(self, probe: Probe[Any]) -> None:
        """For an answer that is to have more than the last second's."""
        self._look_at(probe)
        is_old = time.monotonic() - probe.figures.read_s >= 1.5 * LOOK_S
        if is_old and self._is_worth_a_look(probe):
            await self._read(probe)

    async def _read(self, probe: Probe[Any]) -> None:
        said = probe.said()
        agent_id, playground = probe.agent_id, self._playground
        if playground is None:
            return
        try:
            if probe.is_own:
                reading = await playground.read_own()
                self._take_own(await playground.own())
            else:
                reading = await playground.read(agent_id, probe.figures.last_event)
        except PlaygroundError as error:
            probe.n_failures += 1
            if probe.n_failures >= _MAX_FAILURES and probe.agent_id == agent_id:
                probe.problem = f"it cannot be read: {error.message}"
        except Exception:  # the boundary where our own bugs stop: the others are read
            logger.exception("reading a probe failed")
        else:
            if probe.agent_id == agent_id and playground is self._playground:
                self._take(probe, reading)
        if probe.said() != said:
            self._tell()

    def _take(self, probe: Probe[Any], reading: ProbeReading) -> None:
        probe.n_failures = 0
        probe.figures.take(reading, time.monotonic())
        if probe.is_own or reading.generation < (probe.generation or 0):
            return
        if reading.note and reading.note != probe.note and len(probe.sources) > 1:
            probe.sources.pop()  # it was taken back
        probe.note, probe.problem = reading.note, reading.problem
        probe.generation = reading.generation

    def _take_own(self, now: OwnProbes) -> None:
        if now.generation < (self._own.generation or 0):
            return  # asked for before an exchange
        if now.note and now.note != self._own.note and len(self._own.sources) > 1:
            self._own.sources.pop()
        self._own_now = now
        self._own.note, self._own.generation = now.note, now.generation

    # -- telling ---------------------------------------------------------------------------

    def _tell(self) -> None:
        """That something else than figures has changed."""
        for uri, probe in self._probes.items():
            self._annotate(uri, list(problems(probe)))
        if self._own.uri is not None:
            self._annotate(self._own.uri, list(problems(self._own)))
        self._changed()
        self._refresh()

    def _summary(self, workbench: Workbench, probe: Probe[Any]) -> dict[str, Any]:
        reading = probe.figures.reading
        files = []
        if probe.is_own:
            files = [
                {
                    "name": each.name,
                    "uri": self._uri_of(each.path),
                    "is_edited": each.is_edited,
                    "is_outdated": each.is_outdated,
                }
                for each in workbench.copies()
            ]
        lines = self._places_of(workbench, probe.uri).programs
        figures = probe.figures
        return {
            "id": probe.id,
            "uri": None if probe.is_own else probe.uri,
            "name": probe.name,
            "is_own": probe.is_own,
            "files": files,
            "generation": probe.generation,
            "state": probe.state,
            "programs": probe_objects.programs_objects(figures, lines),
            "cpu_share": round(reading.cpu_share, 6) if reading else None,
            "events_per_s": None
            if figures.events_per_s is None
            else round(figures.events_per_s, 2),
            "n_lost": reading.n_lost if reading else 0,
            "age_s": round(reading.age_s, 1) if reading else 0.0,
            "ttl_s": None if probe.ends_in_s is None else round(probe.ends_in_s, 1),
            "problem": visible(probe.problem) if probe.problem else None,
            "note": visible(probe.note) if probe.note else None,
            "can_roll_back": len(probe.sources) > 1,
        }

    # -- the rest --------------------------------------------------------------------------

    def _all(self) -> list[Probe[Any]]:
        return [self._own, *self._probes.values()]

    async def _find(self, uri: str | None, probe_id: str | None) -> Probe[Any] | None:
        if probe_id is not None:
            return next((each for each in self._all() if each.id == probe_id), None)
        path = from_proto.path(uri or "")
        if uri is None or path is None:
            return None
        return self._own if (await self._bench()).part(path) else self._probes.get(uri)

    def _places_of(self, workbench: Workbench, uri: str | None) -> Places:
        path = from_proto.path(uri or "")
        text = self._text_of(uri or "") or (self._text_at(path) if path else None)
        return self._places(workbench, text or "")

    def _places(self, workbench: Workbench, text: str) -> Places:
        return workbench.places(text) if len(text) <= MAX_AUTHORED_CHARS else Places({}, {}, {})

    async def _bench(self) -> Workbench:
        async with self._is_loading:
            if self._workbench is None:
                self._workbench = await self._load_workbench(self._text_at)
                self._workbench.use_folder(self._folder)
            return self._workbench

    def _do(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a task failed", exc_info=error)


def _sendable(text: str) -> str:
    """As it can be sent and compiled, with each line where it was."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.encode(errors="replace").decode()


def _on_disk(path: str) -> str | None:
    text = read_text(path)
    return None if text is None else _sendable(text)
