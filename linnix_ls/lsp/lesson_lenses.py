"""Lessons in the client: code lenses over a learner's probe, and what they do when clicked.

What a check found is shown at the lines that are to be edited, until they are or the next check
says otherwise. Not here: what a lesson is and how it is checked (`playground.base.LessonDesk`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from linnix_ls.core.text import visible
from linnix_ls.errors import LinnixError
from linnix_ls.lsp import ext, from_proto
from linnix_ls.lsp.documents import split_lines, uri_of_path
from linnix_ls.lsp.progress import cancellable_progress
from linnix_ls.lsp.text import with_fix
from linnix_ls.lsp.to_proto import line_range
from linnix_ls.playground.base import How, LessonDesk, LessonResult, LessonState, Playground
from linnix_ls.sources import read_source

SOURCE = "linnix-lesson"
OPEN = "linnix.lesson.open"
CHECK = "linnix.lesson.check"
HINT = "linnix.lesson.hint"
RESET = "linnix.lesson.reset"
_MARK = ">>> your code"
_MAX_CHARS = 1_000
_HOW_SAID = {
    How.LOADED: "",
    How.RECORDED: "run on recorded events, and not loaded into the kernel",
    How.COMPILED: "compiled, and not loaded into the kernel",
}

LoadDesk = Callable[[], Awaitable[LessonDesk]]


@attrs.frozen
class LessonArgument:
    """Which lesson: its number, or the document that is an answer to it."""

    lesson: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(int))
    )
    uri: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(str))
    )
    quiet: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))


class Lessons:
    """See the module. Use on the event loop's thread.

    Args:
        load_desk: called when the first lesson is seen or asked for.
        playground: waits for the agent's; None where there is none.
        text_of: of an open document, by URI.
        publish: shows these of a document, and no others of ours.
        say: shows the user a message, as the outcome of what they asked for.
        refresh: has the client ask for code lenses again.
    """

    def __init__(
        self,
        load_desk: LoadDesk,
        playground: Callable[[], Awaitable[Playground | None]],
        client: LanguageServer,
        *,
        text_of: Callable[[str], str | None],
        publish: Callable[[str, list[types.Diagnostic]], None],
        say: Callable[[str, types.MessageType], None],
        refresh: Callable[[], None],
    ) -> None:
        self._load_desk = load_desk
        self._playground = playground
        self._client = client
        self._text_of = text_of
        self._publish = publish
        self._say = say
        self._refresh = refresh
        self._desk: LessonDesk | None = None
        self._shown: set[str] = set()
        self._checking: set[str] = set()
        self.commands = {
            OPEN: self.open,
            CHECK: self.check,
            HINT: self.hint,
            RESET: self.reset,
        }

    # -- documents -----------------------------------------------------------------------------

    async def code_lenses(self, uri: str) -> list[types.CodeLens]:
        path = from_proto.path(uri)
        if not path or not path.endswith(".bpf.c"):
            return []
        state = (await self._loaded()).of_document(path)
        if state is None:
            return []
        argument = [{"uri": uri}]
        progress = "being checked" if uri in self._checking else state.progress
        titles = [
            (f"Lesson {state.number}: {progress}", CHECK),
            ("Check", CHECK),
            ("Hint", HINT),
            ("Start over", RESET),
        ]
        top = types.Range(start=types.Position(0, 0), end=types.Position(0, 0))
        return [
            types.CodeLens(
                range=top, command=types.Command(title=title, command=command, arguments=argument)
            )
            for title, command in titles
        ]

    def changed(self, uri: str) -> None:
        """What is shown is of an earlier answer."""
        if uri in self._shown:
            self._shown.discard(uri)
            self._publish(uri, [])

    closed = changed

    # -- requests ------------------------------------------------------------------------------

    async def listed(self, _params: Any) -> dict[str, Any]:
        desk = await self._loaded()
        problem, fix = desk.obstacle(await self._playground()) or (None, None)
        lessons = [_object(state) for state in desk.listed()]
        folder = lessons[0]["folder"].rpartition("/")[0] if lessons else None
        return {"folder": folder, "problem": problem, "fix": fix, "lessons": lessons}

    async def open(self, *arguments: Any) -> dict[str, str]:
        wanted = _argument(arguments)
        state = await self._wanted(wanted)
        desk = await self._loaded()
        if wanted.uri is None:
            state = desk.open(state.number)
            self._tell(state)
        uris = {"uri": uri_of_path(state.probe), "text_uri": uri_of_path(state.text)}
        if not wanted.quiet:
            for uri in (uris["text_uri"], uris["uri"]):
                await self._show(uri)
        return uris

    async def check(self, *arguments: Any) -> dict[str, Any]:
        wanted = _argument(arguments)
        state = await self._wanted(wanted)
        uri = wanted.uri or uri_of_path(state.probe)
        text = self._text(uri, state.probe)
        if uri in self._checking:
            raise LinnixError("this lesson is being checked already")
        self._checking.add(uri)
        self._refresh()
        try:
            desk = await self._loaded()
            title = f"linnix: checking lesson {state.number}"
            async with cancellable_progress(self._client, title):
                result = await desk.check(state.probe, text, await self._playground())
        except LinnixError as error:
            if not wanted.quiet:
                self._say(with_fix(error.message, error.fix), types.MessageType.Warning)
            return _not_checked(error)
        finally:
            self._checking.discard(uri)
            self._refresh()
        self._tell(desk.of_document(state.probe))
        if self._text_of(uri) == text:  # else it is about an answer that is there no more
            self._show_result(uri, text, state, result)
        problem, fix = None, None
        if result.how is not How.LOADED:
            problem, fix = desk.obstacle(await self._playground()) or (None, None)
        if not wanted.quiet:
            self._say(*_said(state, result, problem, fix))
        return _result_object(result, problem, fix)

    async def hint(self, *arguments: Any) -> dict[str, Any]:
        wanted = _argument(arguments)
        state = await self._wanted(wanted)
        found = (await self._loaded()).hint(state.probe)
        if found is None:
            text = "all checks passed the last time: there is nothing left to hint at"
        else:
            text = f"hint {found.step} of {found.n_steps}, {found.kind}: {found.text}"
        if not wanted.quiet:
            self._say(text, types.MessageType.Info)
        if found is None:
            return {"step": 0, "n_steps": 3, "kind": None, "text": None}
        return {
            "step": found.step,
            "n_steps": found.n_steps,
            "kind": found.kind,
            "text": found.text,
        }

    async def reset(self, *arguments: Any) -> dict[str, str | None]:
        wanted = _argument(arguments)
        state = await self._wanted(wanted)
        uri = wanted.uri or uri_of_path(state.probe)
        before = self._text(uri, state.probe)
        start, kept = (await self._loaded()).reset(state.probe, before)
        if start != before:
            await self._replace(uri, before, start)
        self.changed(uri)
        self._tell((await self._loaded()).of_document(state.probe))
        if kept and not wanted.quiet:
            self._say(f"begun anew; what you wrote is in {kept}", types.MessageType.Info)
        return {"kept": uri_of_path(kept) if kept else None}

    # -- the rest ------------------------------------------------------------------------------

    async def _loaded(self) -> LessonDesk:
        if self._desk is None:
            self._desk = await self._load_desk()
        return self._desk

    async def _wanted(self, wanted: LessonArgument) -> LessonState:
        desk = await self._loaded()
        if wanted.uri is not None:
            state = desk.of_document(from_proto.path(wanted.uri) or "")
        else:
            state = next((each for each in desk.listed() if each.number == wanted.lesson), None)
        if state is None:
            raise ext.WrongParams("there is no such lesson")
        return state

    def _text(self, uri: str, path: str) -> str:
        """
        Raises:
            LinnixError: it is not open, and there is no such file.
        """
        if (text := self._text_of(uri)) is not None:
            return text
        content = read_source(path)
        if content is None:
            raise LinnixError("this lesson is not open yet", fix=f"the command {OPEN}")
        return content.decode(errors="replace")

    async def _replace(self, uri: str, before: str, text: str) -> None:
        """The whole text of a document, in the editor, where it can be undone."""
        lines = split_lines(before)
        codec = self._client.workspace.position_codec
        end = types.Position(len(lines) - 1, codec.client_num_units(lines[-1]))
        edit = types.TextEdit(range=types.Range(types.Position(0, 0), end), new_text=text)
        answer = None
        if get_capability(self._client.client_capabilities, "workspace.apply_edit"):
            with contextlib.suppress(JsonRpcException):
                answer = await self._client.workspace_apply_edit_async(
                    types.ApplyWorkspaceEditParams(
                        edit=types.WorkspaceEdit(changes={uri: [edit]}), label="Start over"
                    )
                )
        if answer is None or not answer.applied:
            path = from_proto.path(uri)
            assert path is not None  # it is a lesson's
            await asyncio.to_thread(_write, path, text)

    async def _show(self, uri: str) -> None:
        if get_capability(self._client.client_capabilities, "window.show_document.support"):
            with contextlib.suppress(JsonRpcException):
                shown = await self._client.window_show_document_async(
                    types.ShowDocumentParams(uri=uri, take_focus=True)
                )
                if shown.success:
                    return
        self._say(f"it is in {from_proto.path(uri)}", types.MessageType.Info)

    def _show_result(self, uri: str, text: str, state: LessonState, result: LessonResult) -> None:
        lines = split_lines(text)
        marked = next((at for at, line in enumerate(lines) if _MARK in line), 0)
        where = line_range(lines, marked, self._client.workspace.position_codec)

        def diagnostic(message: str, severity: types.DiagnosticSeverity) -> types.Diagnostic:
            return types.Diagnostic(
                range=where,
                message=ext.clean(visible(message, _MAX_CHARS)),
                severity=severity,
                source=SOURCE,
                code=f"lesson/{state.number}",
            )

        shown = [
            diagnostic(
                f"{each.name}: expected {each.expected}; seen: {each.seen}",
                types.DiagnosticSeverity.Warning,
            )
            for each in result.outcomes
            if not each.is_passed
        ]
        if result.not_checked:
            shown.append(
                diagnostic(
                    f"{_HOW_SAID[result.how]}. Not checked: {'; '.join(result.not_checked)}",
                    types.DiagnosticSeverity.Information,
                )
            )
        self._shown.add(uri)
        self._publish(uri, shown)

    def _tell(self, state: LessonState | None) -> None:
        self._refresh()
        if state:
            self._client.protocol.notify(ext.DID_CHANGE_LESSON, _object(state))


def _argument(arguments: Sequence[Any]) -> LessonArgument:
    if len(arguments) != 1:
        raise ext.WrongParams(f"expected one argument, not {len(arguments)}")
    wanted = ext.structure(arguments[0], LessonArgument)
    if (wanted.lesson is None) == (wanted.uri is None):
        raise ext.WrongParams("expected either `lesson` or `uri`")
    return wanted


def _object(state: LessonState) -> dict[str, Any]:
    return {
        "number": state.number,
        "name": state.name,
        "title": state.title,
        "summary": state.summary,
        "state": state.state,
        "n_passed": state.n_passed,
        "n_checks": state.n_checks,
        "progress": state.progress,
        "is_recorded": state.why_not_recorded is None,
        "why_not_recorded": state.why_not_recorded,
        "folder": state.probe.rpartition("/")[0],
        "uri": uri_of_path(state.probe),
    }


def _result_object(result: LessonResult, problem: str | None, fix: str | None) -> dict[str, Any]:
    return {
        "outcome": "passed" if result.is_passed else "failed",
        "how": str(result.how),
        "summary": result.summary,
        "problem": problem,
        "fix": fix,
        "not_checked": list(result.not_checked),
        "outcomes": [
            {
                "name": ext.clean(each.name),
                "is_passed": each.is_passed,
                "expected": ext.clean(visible(each.expected, _MAX_CHARS)),
                "seen": ext.clean(visible(each.seen, _MAX_CHARS)),
            }
            for each in result.outcomes
        ],
    }


def _not_checked(error: LinnixError) -> dict[str, Any]:
    return {
        "outcome": "not_checked",
        "how": None,
        "summary": "not checked",
        "problem": error.message,
        "fix": error.fix,
        "not_checked": [],
        "outcomes": [],
    }


def _said(
    state: LessonState, result: LessonResult, problem: str | None, fix: str | None
) -> tuple[str, types.MessageType]:
    failed = next((each for each in result.outcomes if not each.is_passed), None)
    text = f"Lesson {state.number}: {result.summary}"
    if failed:
        text += visible(
            f". {failed.name}: expected {failed.expected}; seen: {failed.seen}", _MAX_CHARS
        )
    elif result.is_passed:
        text += ". Well done"
    if problem:
        text += f". Not loaded: {with_fix(problem, fix)}"
    return text, types.MessageType.Warning if failed else types.MessageType.Info


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
