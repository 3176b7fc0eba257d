"""The language server: what each message does.

State has one owner each: `session` the feed and its findings, `Documents` texts and URIs,
`Presenter` what the client has been told. Everything runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import logging
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypedDict, TypeVar, Unpack
from urllib.parse import unquote

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from linnix_ls import __version__
from linnix_ls.core.events import Source
from linnix_ls.core.findings import Finding, Note, Patch, Severity, State
from linnix_ls.core.history import RunSummary
from linnix_ls.core.ids import ProcessKey
from linnix_ls.core.text import visible
from linnix_ls.core.tree import to_be_stopped
from linnix_ls.errors import AgentTooOld, LinnixError
from linnix_ls.feed.base import ProcessView, StackView
from linnix_ls.fixes.base import Outcome, Trial
from linnix_ls.lsp import clangd, ext, from_proto, probe_lenses, to_proto, wording
from linnix_ls.lsp.authoring import Authoring, LoadAuthor
from linnix_ls.lsp.connection import Connection
from linnix_ls.lsp.descriptors import Descriptors, OutOfDescriptors
from linnix_ls.lsp.diagnostics import severity_in_history, shown_severity
from linnix_ls.lsp.documents import Documents, uri_of_path
from linnix_ls.lsp.explaining import Explaining, OpenNotes, open_no_notes
from linnix_ls.lsp.fixing import RULES, TRY_FIX, Fixing, LoadFixer, as_diff
from linnix_ls.lsp.lesson_lenses import SOURCE as LESSON_SOURCE
from linnix_ls.lsp.lesson_lenses import Lessons, LoadDesk
from linnix_ls.lsp.live_probe import RunOutcome
from linnix_ls.lsp.live_probes import LiveProbes, LoadWorkbench
from linnix_ls.lsp.notices import Notices
from linnix_ls.lsp.presenter import Presenter
from linnix_ls.lsp.probe_fixes import ASK_MODEL, ProbeFixes
from linnix_ls.lsp.probe_words import EXPLAIN_PROBE, as_markdown, notes_on
from linnix_ls.lsp.probes import SHOW_LOG, LoadChecker, Probes
from linnix_ls.lsp.progress import cancellable_progress
from linnix_ls.lsp.protocol import LinnixProtocol
from linnix_ls.lsp.session import RETRY_DELAYS_S, FeedSession, OpenFeed
from linnix_ls.lsp.stdio import call_when_process_ends
from linnix_ls.lsp.text import message, with_fix
from linnix_ls.playground.base import Part, Playground

if TYPE_CHECKING:
    # Settings bring pydantic along, 0.2 s of imports that `initialize` need not wait for.
    from linnix_ls.config import Settings

logger = logging.getLogger(__name__)

_CONFIGURATION_LIMIT_S = 2.0
_CLOSE_LIMIT_S = 0.5
_FEED_LIMIT_S = 5.0  # what is checked without it, is checked again when it is there
_MAX_SAID_CHARS = 2_000
_MAX_PAGES = 40  # of a run that is told of; a storm goes on meanwhile
_PROGRESS_TOKEN = "linnix-loading"  # noqa: S105 - an LSP progress token


class RequestFailed(JsonRpcException):
    """The request was right, but what it asks for cannot be done."""

    CODE = types.LSPErrorCodes.RequestFailed.value


class LinnixServer(LanguageServer):
    """One client's server. Implements `session.Listener`.

    Args:
        is_client_local: its process id means something on this machine.
        load_fixer: gives what proposes and tries fixes; without it none are offered.
        load_author: gives what helps with writing probes; without it there is no such help.
        load_checker: gives what checks probe source; without it none is.
        load_desk: gives the lessons; without it there are none.
        load_workbench: gives what is wanted beside for running probes; without it none is run.
    """

    protocol: LinnixProtocol

    def __init__(
        self,
        open_feed: OpenFeed,
        connection: Connection,
        *,
        is_client_local: bool = True,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        open_notes: OpenNotes = open_no_notes,
        load_fixer: LoadFixer | None = None,
        load_author: LoadAuthor | None = None,
        load_checker: LoadChecker | None = None,
        load_desk: LoadDesk | None = None,
        load_workbench: LoadWorkbench | None = None,
    ) -> None:
        super().__init__(
            name="linnix-ls", version=__version__, protocol_cls=LinnixProtocol, max_workers=1
        )
        self._descriptors = Descriptors(self.tell, self._do_again)
        noting = self._descriptors.noting
        self.session = FeedSession(noting(open_feed), self, retry_delays_s)
        self.presenter: Presenter
        self._settings: Settings | None = None
        self._load_fixer = noting(load_fixer) if load_fixer else None
        self._fixing: Fixing | None = None
        self._load_author = noting(load_author) if load_author else None
        self._authoring: Authoring | None = None
        self._load_checker = noting(load_checker) if load_checker else None
        self._probes: Probes | None = None
        self._probe_fixes: ProbeFixes | None = None
        self.lessons = (
            Lessons(
                noting(load_desk),
                self._playground,
                self,
                text_of=self._text_of_open,
                publish=lambda uri, shown: self.presenter.show_probe(uri, shown, LESSON_SOURCE),
                say=self._say,
                refresh=self._refresh_client,
            )
            if load_desk
            else None
        )
        self._load_workbench = noting(load_workbench) if load_workbench else None
        self._live: LiveProbes | None = None
        self._log_folder: tempfile.TemporaryDirectory[str] | None = None
        self._connection = connection
        self._is_client_local = is_client_local
        self._documents = Documents(self._text_of_open)
        self._explaining = Explaining(
            open_notes,
            self._documents.text,
            on_note=lambda _finding_id: self._show_soon(),
            tell=lambda text: self.tell(text, is_problem=True),
        )
        self._initialization_options: Any = None
        self._unwatch_client: Callable[[], None] = lambda: None
        self._is_started = asyncio.Event()
        self._is_showing_soon = False
        self._refreshing: set[str] = set()
        self._placeless_ids: set[str] = set()
        self._notices = Notices()
        self._notice_timer: asyncio.TimerHandle | None = None
        self._progress_texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self.protocol.set_writer(connection)

    # -- life ------------------------------------------------------------------------------

    def initialize(self, params: types.InitializeParams) -> None:
        """Take in who the client is. Nothing slow: it is waiting for the answer."""
        self._initialization_options = params.initialization_options
        is_pulling = self._is_pulling()
        if is_pulling:
            requests: dict[str, Handler] = {
                types.TEXT_DOCUMENT_DIAGNOSTIC: self.pull_document,
                types.WORKSPACE_DIAGNOSTIC: self.pull_workspace,
            }
            for method, answer in requests.items():
                # Only now: it is offered to clients that are not sent the same.
                self.feature(method)(_with_request_errors(answer))
        self.presenter = Presenter(
            self._documents,
            self.workspace.position_codec,
            self.protocol.notify,
            lambda: self._connection.is_congested,
            with_related=bool(
                get_capability(
                    self.client_capabilities,
                    "text_document.publish_diagnostics.related_information",
                )
            ),
            is_pushing=not is_pulling,
            refresh=self._refresh_client,
        )
        self._connection.on_drained = self.presenter.flush
        with_versions = bool(
            get_capability(self.client_capabilities, "workspace.workspace_edit.document_changes")
        )
        if self._load_fixer:
            self._fixing = Fixing(
                self._load_fixer,
                self._documents,
                self.workspace.position_codec,
                self._version_of_open,
                with_versions=with_versions,
            )
        if self._load_author:
            self._authoring = Authoring(
                self._load_author,
                self._playground,
                self.workspace.position_codec,
                text_of=self._text_of_open,
                uri_of=self._documents.uri,
                has_clangd=self._has_clangd,
                capabilities=self.client_capabilities,
            )
            self._offer(self._authoring, is_later=False)
        if self._load_checker:
            self._probe_fixes = ProbeFixes(
                self.workspace.position_codec,
                self._version_of_open if with_versions else lambda _uri: None,
                lambda: self._explaining.has_model,
            )
            self._probes = Probes(
                self._load_checker,
                self._playground,
                self.workspace.position_codec,
                text_of=self._text_of_open,
                text_at=self._documents.text,
                publish=self.presenter.show_probe,
                progress=lambda title: cancellable_progress(self, title),
                with_related=self.presenter.with_related,
                fixes=self._probe_fixes,
                has_clangd=self._has_clangd,
            )
        if self._load_workbench:
            self._live = LiveProbes(
                self._load_workbench,
                self._playground,
                self.workspace.position_codec,
                text_of=self._text_of_open,
                text_at=self._documents.text,
                uri_of=self._documents.uri,
                annotate=self._probes.annotate if self._probes else lambda _uri, _problems: None,
                refresh=lambda: self._refresh_client(("code_lens", "inlay_hint")),
                changed=lambda: self.protocol.notify(ext.PROBES_CHANGED, {}),
                can_reveal=probe_lenses.REVEAL_PROBE
                in from_proto.client_commands(self.client_capabilities),
                is_trusted=from_proto.is_trusted(self.client_capabilities),
            )
        if params.process_id and params.process_id > 0 and self._is_client_local:
            client = params.client_info.name if params.client_info else "editor"
            self.session.watch_when_open(params.process_id, visible(client, 100))
            # A client in another container has no process here: then EOF has to do.
            with contextlib.suppress(OSError):
                self._unwatch_client = call_when_process_ends(
                    params.process_id, lambda: self._connection.end("the client has ended")
                )

    async def start(self) -> None:
        """Read the settings and open the feed, now that `initialize` is answered."""
        await asyncio.to_thread(importlib.import_module, "linnix_ls.config")
        self._settings = await self._read_settings(None)
        if get_capability(
            self.client_capabilities, "workspace.did_change_configuration.dynamic_registration"
        ):
            self.client_register_capability(
                types.RegistrationParams(
                    registrations=[
                        types.Registration(
                            id="linnix-configuration",
                            method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
                        )
                    ]
                )
            )
        if self._authoring:
            self._offer(self._authoring, is_later=True)
            for uri in self.workspace.text_documents:
                self._authoring.opened(uri)
        await self._set_folders()
        await self._explaining.use(self._settings.explain)
        self.session.start(self._settings)
        if self._probes:
            self._probes.enable(self._settings.playground.enable)
        await self._use_probe_settings(self._settings)
        self._is_started.set()

    async def stop(self) -> None:
        """Let go of the feed and of every task."""
        self._unwatch_client()
        if self._notice_timer:
            self._notice_timer.cancel()
        for helper in (self._fixing, self._live, self._probes, self._authoring):
            if helper:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(helper.close(), _CLOSE_LIMIT_S)
        if self._log_folder:
            self._log_folder.cleanup()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.session.close(), _CLOSE_LIMIT_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._explaining.close(), _CLOSE_LIMIT_S)
        await self._descriptors.close()
        for task in self._tasks:
            task.cancel()

    async def change_settings(self, pushed: Any) -> None:
        await self._is_started.wait()
        self._settings = settings = await self._read_settings(pushed)
        await self._explaining.use(settings.explain)
        self._want_notes(list(self.session.findings.values()))
        if self._probes:
            self._probes.enable(settings.playground.enable)
        await self._use_probe_settings(settings)
        if not settings.notifications:
            self._notices.forget_waiting()
        self._show()
        await self.session.set_settings(settings)

    async def _use_probe_settings(self, settings: Settings) -> None:
        folder = settings.playground.folder
        if self._live:
            if folder:
                base = next(iter(self._documents.folders), "")
                folder = str(Path(base, Path(folder).expanduser()))
            await self._live.use(is_enabled=settings.playground.enable, folder=folder)

    async def change_folders(self) -> None:
        await self._set_folders()
        self._show()

    # -- documents -------------------------------------------------------------------------

    def opened(self, uri: str) -> None:
        self._documents.opened(uri)
        if self._authoring and self._settings:
            self._authoring.opened(uri)
        for helper in (self._probes, self._live):
            if helper:
                helper.opened(uri)
        self._show()

    def changed(self, params: types.DidChangeTextDocumentParams) -> None:
        for change in params.content_changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                self.presenter.edited(params.text_document.uri, change)
        if self._probes:
            self._probes.changed(params.text_document.uri, params.content_changes)
        if self.lessons:
            self.lessons.changed(params.text_document.uri)
        if self.presenter.is_shown_in(params.text_document.uri):
            self._show()

    def saved(self, uri: str) -> None:
        for helper in (self._probes, self._live):
            if helper:
                helper.saved(uri)

    def closed(self, uri: str) -> None:
        self._documents.closed(uri)
        for helper in (self._probes, self._live, self.lessons):
            if helper:
                helper.closed(uri)
        self._show()

    # -- requests --------------------------------------------------------------------------

    async def hover(self, params: types.HoverParams) -> types.Hover | None:
        line = params.position.line
        shown = self.presenter.at(params.text_document.uri, line, line)
        if not shown:
            return await self._authoring.hover(params) if self._authoring else None
        formats = get_capability(self.client_capabilities, "text_document.hover.content_format")
        kind = formats[0] if formats else types.MarkupKind.PlainText
        return to_proto.hover(
            [(each.finding, each.diagnostic.range) for each in shown if each.diagnostic],
            kind,
            with_headline=not from_proto.hovers_with_message(self.client_capabilities),
        )

    async def code_actions(
        self, params: types.CodeActionParams
    ) -> list[types.CodeAction] | list[types.Command]:
        """By line, not by the `data` that came back: some clients do not keep it."""
        only = params.context.only
        if only and not any(str(each) in ("", "quickfix") for each in only):
            return []
        actions: list[types.CodeAction] = []
        if self._probes:
            actions += self._probes.code_actions(params.text_document.uri, params.range)
        has_lenses = get_capability(self.client_capabilities, "text_document.code_lens")
        if self._live and not has_lenses:
            actions += await _if_possible(self._live.code_actions(params.text_document.uri))
        for each in self.presenter.at(
            params.text_document.uri, params.range.start.line, params.range.end.line
        ):
            if each.diagnostic:
                if self._fixing:
                    actions += await _if_possible(self._fixing.code_actions(each))
                actions += to_proto.code_actions(
                    each.finding,
                    each.diagnostic,
                    from_proto.client_commands(self.client_capabilities),
                    is_reproducible=await self._is_reproducible(each.finding),
                    is_by_probe=bool(self._live) and self.session.status.tracer == "bcc",
                )
        if get_capability(
            self.client_capabilities, "text_document.code_action.code_action_literal_support"
        ):
            return actions
        return [action.command for action in actions if action.command]

    async def code_lenses(self, params: types.CodeLensParams) -> list[types.CodeLens]:
        uri = params.text_document.uri
        lenses = [
            lens
            for each in self.presenter.by_uri().get(uri, [])
            if each.diagnostic
            for lens in to_proto.code_lenses(each.finding, each.diagnostic)
        ]
        if self._live:
            lenses += await _if_possible(self._live.code_lenses(uri))
        if self.lessons:
            lenses += await _if_possible(self.lessons.code_lenses(uri))
        return lenses

    async def inlay_hints(self, params: types.InlayHintParams) -> list[types.InlayHint]:
        if self._live is None:
            return []
        return await _if_possible(self._live.inlay_hints(params.text_document.uri, params.range))

    async def pull_document(
        self, params: types.DocumentDiagnosticParams
    ) -> types.RelatedFullDocumentDiagnosticReport | types.RelatedUnchangedDocumentDiagnosticReport:
        items = self._diagnostics_in(params.text_document.uri)
        known_as = to_proto.result_id(items)
        if params.previous_result_id == known_as:
            return types.RelatedUnchangedDocumentDiagnosticReport(result_id=known_as)
        return types.RelatedFullDocumentDiagnosticReport(items=items, result_id=known_as)

    async def pull_workspace(
        self, params: types.WorkspaceDiagnosticParams
    ) -> types.WorkspaceDiagnosticReport:
        """Of all files that have some, and of those that the client thinks have."""
        before = {each.uri: each.value for each in params.previous_result_ids}
        reports: list[types.WorkspaceDocumentDiagnosticReport] = []
        for uri in self.presenter.diagnostics() | before:
            items = self._diagnostics_in(uri)
            known_as, version = to_proto.result_id(items), self._version_of_open(uri)
            if before.get(uri) == known_as:
                reports.append(
                    types.WorkspaceUnchangedDocumentDiagnosticReport(
                        uri=uri, result_id=known_as, version=version
                    )
                )
            else:
                reports.append(
                    types.WorkspaceFullDocumentDiagnosticReport(
                        uri=uri, items=items, result_id=known_as, version=version
                    )
                )
        return types.WorkspaceDiagnosticReport(items=reports)

    async def explain(self, *arguments: Any) -> dict[str, Any] | None:
        """By rules at once; then the model's note, as it is written, if there is a model."""
        finding = self._named_finding(arguments)
        if finding is None:
            return None
        is_quiet = ext.structure(arguments[0], ext.FindingArgument).quiet
        finding = self._explaining.explained(finding)
        if not is_quiet:
            self._say(wording.explanation(finding), types.MessageType.Info)
        note, problem = await self._note_on(finding)
        if not is_quiet and (note or problem):
            self._say(wording.note(note) if note else problem, types.MessageType.Info)
        return ext.explanation_object(self._explaining.explained(finding), problem)

    async def _note_on(self, finding: Finding) -> tuple[Note | None, str]:
        """A note that is new, or why there is none; nothing of both where none is wanted."""
        if finding.explanation is None or finding.explanation.note:
            return None, ""

        def pass_on(text: str) -> None:
            report(text)
            self.protocol.notify(ext.NOTE_PROGRESS, ext.note_progress_object(finding.id, text))

        try:
            async with cancellable_progress(self, "linnix: asking the model") as report:
                return await self._explaining.ask(finding, pass_on), ""
        except LinnixError as error:
            return None, f"no note by a model: {with_fix(error.message, error.fix)}"

    async def reproduce(self, *arguments: Any) -> dict[str, str] | None:
        """The line for a shell; shown, unless it is for a client that copies it."""
        finding = self._named_finding(arguments)
        if finding is None:
            return None
        try:
            if self._fixing is None:
                raise LinnixError("there is nothing here that knows how tests are run")
            line = ext.clean(await self._fixing.reproduction(finding))
        except LinnixError as error:
            self._say(f"cannot be run again: {error.message}", types.MessageType.Info)
            return None
        if not ext.structure(arguments[0], ext.FindingArgument).quiet:
            self._say(wording.reproduction(line), types.MessageType.Info)
            self.tell(f"to run it again: {line}", is_problem=False)
        return {"command": line}

    async def _is_reproducible(self, finding: Finding) -> bool:
        try:
            return bool(self._fixing and await self._fixing.reproduction(finding))
        except LinnixError:
            return False

    async def dismiss(self, *arguments: Any) -> None:
        if finding := self._named_finding(arguments):
            try:
                await self.session.dismiss(finding.id)
            except LinnixError as error:
                self._say(f"cannot dismiss it: {error.message}", types.MessageType.Warning)

    async def stop_process(self, *arguments: Any) -> dict[str, str]:
        if len(arguments) != 1:
            raise ext.WrongParams(f"expected one argument, not {len(arguments)}")
        asked = ext.structure(arguments[0], ext.StopArgument)
        if asked.process is not None:
            return await self._stop_watched(asked.process, asked)
        finding = self._named_finding(arguments)
        if finding is None:
            return {"outcome": "unknown_finding"}
        process = to_be_stopped(finding)
        question = to_proto.stop_title(finding), process.argv
        tree = asked.tree or to_proto.stops_tree(finding)
        return await self._stop(process.key, question, tree, asked.confirmed)

    async def _stop_watched(self, key: ProcessKey, asked: ext.StopArgument) -> dict[str, str]:
        """A process, whether there is a finding about it or not."""
        try:
            views = {view.key: view for view in await (await self.session.feed()).process_tree()}
        except LinnixError as error:
            return self._not_stopped(error.message)
        view = views.get(key)
        if view is None or view.has_ended:
            self._say("this process is not watched, or has ended", types.MessageType.Info)
            return {"outcome": "unknown_process"}
        if view.run is None:
            return self._not_stopped(
                f"{visible(view.comm)} (pid {key.pid}) is an editor or a shell, not a part of what "
                "it runs"
            )
        below = _living_below(key, tuple(views.values())) if asked.tree else set()
        question = to_proto.stop_process_title(key.pid, view.comm, len(below)), view.argv
        return await self._stop(key, question, asked.tree, asked.confirmed)

    async def _stop(
        self, key: ProcessKey, question: tuple[str, Sequence[str]], tree: bool, is_confirmed: bool
    ) -> dict[str, str]:
        """`question`: what is to be done, and the command line that it is done to."""
        if not is_confirmed and not await self._confirm_stop(*question):
            return {"outcome": "not_confirmed"}
        try:
            outcome = await (await self.session.feed()).stop_process(key, tree=tree)
        except LinnixError as error:
            return self._not_stopped(error.message)
        return {"outcome": str(outcome)}

    def _not_stopped(self, reason: str) -> dict[str, str]:
        self._say(f"cannot stop it: {reason}", types.MessageType.Warning)
        return {"outcome": "refused"}

    async def try_fix(self, *arguments: Any) -> dict[str, str]:
        """Only ever from here is a patch tried: on the user's click."""
        if len(arguments) != 1:
            raise ext.WrongParams(f"expected one argument, not {len(arguments)}")
        wanted = ext.structure(arguments[0], ext.TryFixArgument)
        shown = next(
            (each for each in self.presenter.shown if each.finding.id == wanted.finding_id), None
        )
        if shown is None or self._fixing is None or self._settings is None:
            return self._not_tried("this finding is gone")
        patch = await self._fixing.patch(shown, wanted.patch)
        if patch is None:
            return self._not_tried("this fix does not fit any more: the file has changed")
        is_sure = patch.by == RULES or wanted.confirmed
        if not is_sure and not await self._confirm_try(patch):
            return {"outcome": "not_confirmed", "message": ""}
        task: asyncio.Task[Trial] | None = None
        title = "linnix: trying a fix"
        async with cancellable_progress(self, title, lambda: task and task.cancel()) as report:
            task = await self._fixing.begin(shown.finding, patch, self._settings, report)
            if task is None:
                return self._not_tried("a fix for this finding is being tried already")
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                task.cancel()
                raise
        if task.cancelled():
            return self._not_tried("stopped; nothing of it is left")
        return self._told(shown.finding, task.result())

    async def show_log(self, *arguments: Any) -> dict[str, str] | None:
        """All that the compiler or the verifier said; shown, unless it is for a client that does
        that."""
        if len(arguments) != 1:
            raise ext.WrongParams(f"expected one argument, not {len(arguments)}")
        wanted = ext.structure(arguments[0], ext.LogArgument)
        log = self._probes.log(wanted.uri, wanted.log) if self._probes else None
        if log is None:
            self._say(
                "this log is of an earlier text; there is a newer one", types.MessageType.Info
            )
            return None
        if not wanted.quiet:
            await self._show_text(f"verifier-{wanted.log}.log", log)
        return {"log": log}

    async def explain_probe(self, *arguments: Any) -> dict[str, str] | None:
        """What a probe does, line by line; shown, unless it is for a client that does that."""
        if len(arguments) != 1:
            raise ext.WrongParams(f"expected one argument, not {len(arguments)}")
        wanted = ext.structure(arguments[0], ext.ExplainProbeArgument)
        told = await self._authoring.tell(wanted.uri) if self._authoring else None
        if told is None:
            self._say("this is no probe that is open here", types.MessageType.Info)
            return None
        notes: dict[Part, Note] = {}
        why_not_more = ""
        if wanted.model:
            await self._is_started.wait()
            async with cancellable_progress(self, "linnix: asking the model") as report:
                notes, why_not_more = await notes_on(told, self._explaining, report)
        text = ext.clean(as_markdown(told, notes, why_not_more))
        if not wanted.quiet:
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            await self._show_text(f"probe-{digest}.md", text)
        return {"markdown": text}

    async def ask_about_refusal(self, *arguments: Any) -> dict[str, str | None] | None:
        """A model's note on what is wrong with a probe; what it would change is tried first."""
        if len(arguments) != 1:
            raise ext.WrongParams(f"expected one argument, not {len(arguments)}")
        wanted = ext.structure(arguments[0], ext.RefusalArgument)
        await self._is_started.wait()
        if self._probe_fixes is None:
            return None
        note, said = None, ""
        try:
            async with cancellable_progress(self, "linnix: asking the model") as report:
                answered = await self._probe_fixes.ask(
                    wanted.uri, wanted.problem, self._explaining, report
                )
            if answered is None:
                said = "this is of an earlier text"
            else:
                note, said = answered
                said = said if note else "there is no model to ask"
        except LinnixError as error:
            said = f"no note by a model: {with_fix(error.message, error.fix)}"
        if not wanted.quiet:
            told = [wording.note(note)] if note else []
            self._say(" ".join([*told, *([said] if said else [])]), types.MessageType.Info)
        return {
            "model": ext.clean(note.model) if note else None,
            "note": ext.clean(note.text) if note else None,
            "message": ext.clean(said),
        }

    async def run_probe(self, *arguments: Any) -> dict[str, Any]:
        wanted = _argument(arguments, ext.DocumentArgument)
        return self._came_of(await self._running().run(wanted.uri), wanted.quiet)

    async def detach_probe(self, *arguments: Any) -> dict[str, Any]:
        wanted = _argument(arguments, ext.ProbeArgument)
        outcome = await self._running().detach(wanted.uri, wanted.id)
        return self._came_of(outcome, wanted.quiet)

    async def roll_back_probe(self, *arguments: Any) -> dict[str, Any]:
        wanted = _argument(arguments, ext.ProbeArgument)
        outcome = await self._running().roll_back(wanted.uri, wanted.id)
        return self._came_of(outcome, wanted.quiet)

    async def reset_probe(self, *arguments: Any) -> dict[str, Any]:
        wanted = _argument(arguments, ext.ProbeArgument)
        return self._came_of(await self._running().reset(wanted.uri), wanted.quiet)

    def _came_of(self, outcome: RunOutcome, is_quiet: bool) -> dict[str, Any]:
        """Told to the user, unless the client does it."""
        if not is_quiet:
            is_bad = outcome.outcome == "refused"
            kind = types.MessageType.Warning if is_bad else types.MessageType.Info
            text = with_fix(outcome.message, outcome.fix)
            self._say(visible(text, _MAX_SAID_CHARS), kind)
        return ext.clean(outcome.as_object())

    async def diff_probe(self, *arguments: Any) -> dict[str, str] | None:
        wanted = _argument(arguments, ext.DiffArgument)
        found = await self._running().diff(wanted.uri, wanted.against)
        if found is None:
            self._say("there is no shipped probe to compare this with", types.MessageType.Info)
            return None
        if not wanted.quiet and found.unified:
            await self._show_page(f"{Path(found.after).name}.diff", found.unified)
        elif not wanted.quiet:
            self._say("there is no difference", types.MessageType.Info)
        return {
            "before": self._documents.uri(found.before),
            "after": self._documents.uri(found.after),
            "unified": ext.clean(found.unified),
        }

    async def open_probe(self, *arguments: Any) -> dict[str, Any] | None:
        """The user's copy of a probe of ours, in an editor where the client can."""
        wanted = _argument(arguments, ext.OpenProbeArgument)
        finding = None
        if wanted.finding_id is not None:
            finding = self._named_finding(({"finding_id": wanted.finding_id},))
            if finding is None:
                return None
        place = await self._running().open_probe(finding, wanted.name)
        if not wanted.quiet and not await self._show_place(place["uri"], place["line"]):
            path = from_proto.path(place["uri"]) or place["uri"]
            self._say(f"it is {visible(path)}, line {place['line']}", types.MessageType.Info)
        return place

    async def why_not_run(self, *arguments: Any) -> dict[str, Any]:
        wanted = _argument(arguments or ({},), ext.ProbeArgument)
        permission = await self._running().permission()
        if not wanted.quiet:
            text = permission["why"] or "probes may be run here"
            self._say(with_fix(text, permission["fix"]), types.MessageType.Info)
        return permission

    async def show_probe(self, *arguments: Any) -> dict[str, str] | None:
        """All that is known of a probe, for a client without a view of its own."""
        wanted = _argument(arguments, ext.ProbeArgument)
        text = await self._running().page(wanted.uri, wanted.id)
        if text is None:
            self._say("it does not run", types.MessageType.Info)
            return None
        text = ext.clean(text)
        if not wanted.quiet:
            await self._show_page("probe.txt", text)
        return {"text": text}

    async def probes(self, _params: Any) -> dict[str, Any]:
        return ext.clean(await self._running().probes_object())

    async def probe(self, params: Any) -> dict[str, Any] | None:
        wanted = ext.structure(params, ext.ProbeParams)
        found = await self._running().probe_object(wanted.id, wanted.since_event)
        return ext.clean(found) if found else None

    def _running(self) -> LiveProbes:
        if self._live is None:
            raise LinnixError("there is nothing here that runs probes")
        return self._live

    async def _show_place(self, uri: str, line: int) -> bool:
        """Whether the client has shown it."""
        if not get_capability(self.client_capabilities, "window.show_document.support"):
            return False
        at = types.Position(line=line - 1, character=0)
        with contextlib.suppress(JsonRpcException):
            shown = await self.window_show_document_async(
                types.ShowDocumentParams(
                    uri=uri, take_focus=True, selection=types.Range(start=at, end=at)
                )
            )
            return shown.success
        return False

    async def _show_page(self, name: str, text: str) -> None:
        """As it is now: each text has a name of its own."""
        stem, dot, suffix = name.rpartition(".")
        digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]
        await self._show_text(f"{stem}-{digest}{dot}{suffix}", text, from_start=True)

    async def _show_text(self, name: str, text: str, *, from_start: bool = False) -> None:
        """In an editor of the client's where it can, to be read only; else what matters of it, the
        end (or the start), in a message."""
        if get_capability(self.client_capabilities, "window.show_document.support"):
            # Where there is no room on the disk, it is a message.
            with contextlib.suppress(OSError, JsonRpcException):
                shown = await self.window_show_document_async(
                    types.ShowDocumentParams(uri=uri_of_path(str(self._written(name, text))))
                )
                if shown.success:
                    return
        part = text[:_MAX_SAID_CHARS] if from_start else text[-_MAX_SAID_CHARS:]
        self._say(part, types.MessageType.Info)

    def _written(self, name: str, text: str) -> Path:
        """Where it is, whole and to be read only, until the server ends.

        Raises:
            OSError: there is no room.
        """
        if self._log_folder is None:
            self._log_folder = tempfile.TemporaryDirectory(prefix="linnix-ls-")
        path = Path(self._log_folder.name, name)
        if not path.exists():
            unfinished = path.with_name(f"{name}.part")
            unfinished.write_text(text, encoding="utf-8")
            unfinished.chmod(0o400)  # an editor that heeds it does not offer to change it
            unfinished.rename(path)
        return path

    async def status(self, _params: Any) -> dict[str, Any]:
        status = await self.session.current_status()
        return ext.status_object(status, self._explaining.status_object())

    async def findings(self, _params: Any) -> dict[str, Any]:
        return {
            "findings": [
                self.presenter.finding_object(each.finding, each.severity)
                for each in self.presenter.shown
            ]
        }

    async def process_tree(self, _params: Any) -> dict[str, Any]:
        processes = await (await self.session.feed()).process_tree()
        return ext.process_tree_object(processes, [each.finding for each in self.presenter.shown])

    async def runs(self, _params: Any) -> dict[str, Any]:
        try:
            found = await (await self.session.feed()).runs()
        except AgentTooOld:  # the client goes by the tree of processes
            return {"runs": []}
        return {"runs": [self._run_object(self.session.known.summary(run)) for run in found]}

    async def run_detail(self, params: Any) -> dict[str, Any] | None:
        wanted = ext.structure(params, ext.RunParams)
        feed = await self.session.feed()
        with contextlib.suppress(AgentTooOld):
            detail = await feed.run(wanted.run, wanted.since)
            for _ in range(_MAX_PAGES):
                if detail is None or detail.is_complete:
                    break
                more = await feed.run(wanted.run, detail.version)
                if more and not more.is_whole:
                    more = replace(more, spans=detail.spans + more.spans, is_whole=detail.is_whole)
                detail = more
            if detail:
                detail = self.session.known.detail(detail)
                findings = self._shown_of(detail.run.findings)
                # Thousands of processes take a while to write down.
                return await asyncio.to_thread(
                    ext.run_detail_object,
                    detail,
                    self._run_object(detail.run),
                    [self.presenter.finding_object(*each) for each in findings],
                )
        return None

    def _run_object(self, run: RunSummary) -> dict[str, Any]:
        offset_ns = time.time_ns() - time.monotonic_ns()
        return ext.run_object(run, self._shown_of(run.findings), offset_ns)

    def _shown_of(self, findings: Sequence[Finding]) -> list[tuple[Finding, Severity]]:
        """Those of a past that the settings let through, cleared ones as if they were still
        shown."""
        settings = self._settings
        return [
            (self._explaining.explained(finding), severity)
            for finding in findings
            if settings and (severity := severity_in_history(finding, settings))
        ]

    async def stack(self, params: Any) -> dict[str, Any]:
        wanted = ext.structure(params, ext.StackParams)
        key = ProcessKey(wanted.pid, wanted.start_ticks)
        try:
            view = await (await self.session.feed()).stack(key)
        except AgentTooOld as error:
            view = StackView((), with_fix(error.message, error.fix), 0.0)
        return ext.stack_object(view, self._documents.uri)

    async def watch(self, params: Any) -> dict[str, int] | None:
        wanted = ext.structure(params, ext.WatchParams)
        key = await self.session.watch(
            wanted.pid,
            visible(wanted.label or "", 100),
            is_root_judged=wanted.is_judged,
            source=Source(wanted.source),
        )
        return ext.key_object(key)

    async def unwatch(self, params: Any) -> None:
        await self.session.unwatch(ext.structure(params, ext.UnwatchParams).pid)

    async def watch_tag(self, params: Any) -> None:
        wanted = ext.structure(params, ext.WatchTagParams)
        label = visible(wanted.label, 100) if wanted.label else None
        await self.session.watch_tag(wanted.value, Source(wanted.source), label)

    async def unwatch_tag(self, params: Any) -> None:
        await self.session.unwatch_tag(ext.structure(params, ext.UnwatchTagParams).value)

    def _offer(self, authoring: Authoring, *, is_later: bool) -> None:
        """Help with probes: to a client that can be told so later, for probes alone; to others now,
        when they are told what there is at all."""
        registrations = authoring.registrations()
        for method, (answer, options) in authoring.features().items():
            if (method in registrations) is is_later:
                self.feature(method, options)(_answering_null_on_bugs(answer))
        if is_later and registrations:
            self.client_register_capability(
                types.RegistrationParams(registrations=list(registrations.values()))
            )

    def _has_clangd(self, path: str) -> bool:
        return clangd.is_attached(
            self._settings.playground.clangd if self._settings else "auto", path
        )

    # -- session.Listener ------------------------------------------------------------------

    def findings_changed(self, changed: Sequence[Finding]) -> None:
        self._descriptors.look()  # a text that cannot be read is none
        self._show_soon()
        self._notices.hear(changed, self._is_worth_a_notice)
        self._give_notice()
        self._want_notes(changed)
        self._placeless_ids &= self.session.findings.keys()
        if self._fixing:
            self._fixing.keep_only(list(self.session.findings))
        for finding in changed:
            if finding.location or finding.state is not State.RAISED:
                continue
            if finding.id not in self._placeless_ids:
                self._placeless_ids.add(finding.id)
                self.tell(wording.explanation(finding), is_problem=True)

    def status_changed(self) -> None:
        self.presenter.show_status(self.session.status)

    def feed_opening(self) -> None:
        if get_capability(self.client_capabilities, "window.work_done_progress"):
            self._progress_texts = asyncio.Queue()
            self.run(self._show_progress(self._progress_texts))

    def feed_progressed(self, text: str) -> None:
        self._progress_texts.put_nowait(text)

    def feed_settled(self) -> None:
        self._progress_texts.put_nowait(None)
        if self._probes:
            self._probes.check_all()  # by who is there now
        if self._live:
            self._live.agent_changed()

    def tell(self, text: str, *, is_problem: bool) -> None:
        """Into the client's log, if there is room: it is news that can be lost, not an answer."""
        if self._connection.is_congested:
            logger.warning("not sent to the client, which is not reading: %s", visible(text))
            return
        self.window_log_message(
            types.LogMessageParams(
                type=types.MessageType.Warning if is_problem else types.MessageType.Info,
                message=f"linnix: {ext.clean(text)}",
            )
        )

    # -- the rest --------------------------------------------------------------------------

    def _do_again(self) -> None:
        """What went without the files that it needs."""
        self._show()
        if self._probes:
            self._probes.check_all()
        self._refresh_client()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` beside everything else; a bug in it is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Into our log. pygls would make a popup of it, one per failure."""
        logger.error("%s: %s", getattr(source, "__name__", source), error)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a task failed", exc_info=error)

    async def _playground(self) -> Playground | None:
        try:
            feed = await asyncio.wait_for(self.session.feed(), _FEED_LIMIT_S)
        except (LinnixError, TimeoutError):
            return None
        return feed.playground

    def _text_of_open(self, uri: str) -> str | None:
        document = self.workspace.text_documents.get(unquote(uri))
        return document.source if document else None

    def _version_of_open(self, uri: str) -> int | None:
        document = self.workspace.text_documents.get(unquote(uri))
        return document.version if document else None

    def _show_soon(self) -> None:
        """Once for all changes that come in one go."""
        if not self._is_showing_soon:
            self._is_showing_soon = True
            asyncio.get_running_loop().call_soon(self._show)

    def _show(self) -> None:
        self._is_showing_soon = False
        if self._settings:
            findings = [self._explaining.explained(f) for f in self.session.findings.values()]
            self.presenter.show(findings, self._settings)

    def _is_pulling(self) -> bool:
        """Whether this client is to ask for its diagnostics. One that takes them as they come is
        sent them: they come from the kernel, not from edits; and both would be all of them twice.
        """
        text_document = self.client_capabilities.text_document
        return bool(
            text_document and text_document.diagnostic and not text_document.publish_diagnostics
        )

    def _diagnostics_in(self, uri: str) -> list[types.Diagnostic]:
        return self.presenter.diagnostics().get(uri, [])

    def _refresh_client(self, kinds: Sequence[str] = ("code_lens", "diagnostics")) -> None:
        """Have the client ask again for what is made of diagnostics, or of these kinds. One request
        of a kind at a time: more would only pile up in a client that is slow."""
        askers: dict[str, Callable[[None], Awaitable[None]]] = {
            "code_lens": self.workspace_code_lens_refresh_async,
            "diagnostics": self.workspace_diagnostic_refresh_async,
            "inlay_hint": self.workspace_inlay_hint_refresh_async,
        }
        for kind in kinds:
            ask = askers[kind]
            if kind == "diagnostics" and not self._is_pulling():
                continue
            if not get_capability(self.client_capabilities, f"workspace.{kind}.refresh_support"):
                continue
            if kind in self._refreshing:
                self._refreshing.add(f"{kind} again")
            else:
                self._refreshing.add(kind)
                self.run(self._ask_to_refresh(kind, ask))

    async def _ask_to_refresh(self, kind: str, ask: Callable[[None], Awaitable[None]]) -> None:
        try:
            await ask(None)
        except JsonRpcException as error:
            logger.warning("the client does not refresh its %s: %s", kind, error)
        finally:
            self._refreshing.discard(kind)
        if f"{kind} again" in self._refreshing:
            self._refreshing.discard(f"{kind} again")
            self._refresh_client((kind,))

    def _want_notes(self, findings: Sequence[Finding]) -> None:
        """For those that the user sees."""
        for finding in findings:
            if finding.state is State.CLEARED or (
                self._settings and shown_severity(finding, self._settings)
            ):
                self._explaining.want(finding)

    async def _set_folders(self) -> None:
        uris = [folder.uri for folder in self.workspace.folders.values()]
        if not uris and self.workspace.root_uri:
            uris = [self.workspace.root_uri]
        paths = [path for uri in uris if (path := from_proto.path(uri))]
        self._documents.set_folders(paths)
        await self.session.set_folders(paths)

    async def _read_settings(self, pushed: Any) -> Settings:
        """What the client was started with, and over that what it says now."""
        from linnix_ls.config import parse_settings

        now = await self._pull_settings() if self._can_pull_settings() else None
        merged: dict[str, Any] = {}
        for layer in (self._initialization_options, pushed if now is None else now):
            if isinstance(layer, dict):
                inner = layer.get("linnix")
                merged |= inner if isinstance(inner, dict) else layer
            elif layer is not None:
                self.tell("settings are not an object and are not used", is_problem=True)
        settings, problems = parse_settings(merged)
        for problem in problems:
            self.tell(problem, is_problem=True)
        return settings

    def _can_pull_settings(self) -> bool:
        return bool(get_capability(self.client_capabilities, "workspace.configuration"))

    async def _pull_settings(self) -> Any:
        params = types.ConfigurationParams(items=[types.ConfigurationItem(section="linnix")])
        try:
            answers = await asyncio.wait_for(
                self.workspace_configuration_async(params), _CONFIGURATION_LIMIT_S
            )
        except (JsonRpcException, TimeoutError) as error:
            logger.warning("the client did not tell its settings: %r", error)
            return None
        return answers[0] if answers else None

    def _named_finding(self, arguments: Sequence[Any]) -> Finding | None:
        if len(arguments) != 1:
            raise ext.WrongParams(f"expected one argument, {{finding_id}}, not {len(arguments)}")
        finding_id = ext.structure(arguments[0], ext.FindingArgument).finding_id
        finding = self.session.findings.get(finding_id)
        if finding is None:
            self._say("this finding is gone", types.MessageType.Info)
        return finding

    async def _confirm_stop(self, title: str, argv: Sequence[str]) -> bool:
        """Ask the user. A client that cannot ask has to call again with `confirmed`."""
        stop = types.MessageActionItem(title=title)
        leave = types.MessageActionItem(title="Leave it running")
        command_line = visible(" ".join(argv), 200)
        try:
            chosen = await self.window_show_message_request_async(
                types.ShowMessageRequestParams(
                    type=types.MessageType.Warning,
                    message=message(f"{stop.title}? It runs: {command_line}"),
                    actions=[stop, leave],
                )
            )
        except JsonRpcException:
            self._say(
                f"{stop.title}: not done, because this editor cannot ask for a confirmation. "
                f'{to_proto.STOP_PROCESS} with "confirmed": true does it without asking.',
                types.MessageType.Warning,
            )
            return False
        return chosen is not None and chosen.title == stop.title

    async def _confirm_try(self, patch: Patch) -> bool:
        """A model's patch is run only after the user has seen it."""
        run = types.MessageActionItem(title="Run it in a copy")
        leave = types.MessageActionItem(title="Leave it")
        try:
            chosen = await self.window_show_message_request_async(
                types.ShowMessageRequestParams(
                    type=types.MessageType.Warning,
                    message=message(
                        f"{visible(patch.by, 60)} wrote this change, and nobody has checked it. "
                        f"Run the test with it in a copy of the workspace?\n{as_diff(patch)}"
                    ),
                    actions=[run, leave],
                )
            )
        except JsonRpcException:
            self._say(
                "not tried, because this editor cannot ask for a confirmation. "
                f'{TRY_FIX} with "confirmed": true does it without asking.',
                types.MessageType.Warning,
            )
            return False
        return chosen is not None and chosen.title == run.title

    def _not_tried(self, reason: str) -> dict[str, str]:
        self._say(reason, types.MessageType.Info)
        return {"outcome": str(Outcome.NOT_TRIED), "message": reason}

    def _told(self, finding: Finding, trial: Trial) -> dict[str, str]:
        """Tell the user what came of a trial, and the client that there may be other actions."""
        is_good = trial.outcome is Outcome.VERIFIED
        self._say(trial.message, types.MessageType.Info if is_good else types.MessageType.Warning)
        if trial.output and not is_good:
            self.tell(f"what the test wrote:\n{trial.output}", is_problem=False)
        self.presenter.show_again(finding.id)
        return {"outcome": str(trial.outcome), "message": ext.clean(trial.message)}

    def _is_worth_a_notice(self, finding: Finding) -> bool:
        if self._settings is None or not self._settings.notifications:
            return False
        severity = shown_severity(finding, self._settings)
        return severity is not None and severity.rank <= Severity.WARNING.rank

    def _give_notice(self) -> None:
        """Tell of what is new, if it is time; else when it will be."""
        loop = asyncio.get_running_loop()
        if self._notice_timer:
            self._notice_timer.cancel()
        if news := self._notices.take_due(loop.time()):
            self.run(self._notify_of(news))
        elif due_s := self._notices.next_due_s():
            self._notice_timer = loop.call_at(due_s, self._give_notice)

    async def _notify_of(self, news: Sequence[Finding]) -> None:
        """One finding comes with what can be done about it, where the client can show that."""
        text = wording.news([self._explaining.explained(finding) for finding in news])
        can_choose = get_capability(self.client_capabilities, "window.show_message")
        if len(news) > 1 or not can_choose:
            self._say(text, types.MessageType.Warning)
            return
        acts = {"Explain": self.explain, "Stop…": self.stop_process}
        try:
            chosen = await self.window_show_message_request_async(
                types.ShowMessageRequestParams(
                    type=types.MessageType.Warning,
                    message=message(f"linnix: {text}"),
                    actions=[types.MessageActionItem(title=title) for title in acts],
                )
            )
        except JsonRpcException:
            self._say(text, types.MessageType.Warning)
            return
        if chosen and (act := acts.get(chosen.title)):
            await act({"finding_id": news[0].id})

    def _say(self, text: str, kind: types.MessageType) -> None:
        """Where the user sees it: as the outcome of what they just asked for, or because they
        want notifications."""
        self.window_show_message(
            types.ShowMessageParams(type=kind, message=message(f"linnix: {text}"))
        )

    async def _show_progress(self, texts: asyncio.Queue[str | None]) -> None:
        try:
            await self.work_done_progress.create_async(_PROGRESS_TOKEN)
        except JsonRpcException:
            return  # it declared that it can, and cannot
        progress = self.work_done_progress
        progress.begin(
            _PROGRESS_TOKEN, types.WorkDoneProgressBegin(title="linnix", message="starting")
        )
        while (text := await texts.get()) is not None:
            progress.report(_PROGRESS_TOKEN, types.WorkDoneProgressReport(message=text))
        progress.end(_PROGRESS_TOKEN, types.WorkDoneProgressEnd(message=None))
        progress.tokens.pop(_PROGRESS_TOKEN, None)


def _living_below(key: ProcessKey, views: Collection[ProcessView]) -> set[ProcessKey]:
    children: dict[ProcessKey | None, list[ProcessView]] = {}
    for view in views:
        children.setdefault(view.parent, []).append(view)
    found: set[ProcessKey] = set()
    todo = [key]
    while todo:
        for child in children.get(todo.pop(), ()):
            if child.key not in found:
                todo.append(child.key)
                found.add(child.key)
    return {view.key for view in views if view.key in found and not view.has_ended}


Handler = Callable[..., Awaitable[Any]]
ArgumentT = TypeVar("ArgumentT")
ListedT = TypeVar("ListedT")


class ServerOptions(TypedDict, total=False):
    """Keyword arguments of `LinnixServer`."""

    is_client_local: bool
    retry_delays_s: Sequence[float]
    open_notes: OpenNotes
    load_fixer: LoadFixer | None
    load_author: LoadAuthor | None
    load_checker: LoadChecker | None
    load_desk: LoadDesk | None
    load_workbench: LoadWorkbench | None


def build_server(
    open_feed: OpenFeed, connection: Connection, **options: Unpack[ServerOptions]
) -> LinnixServer:
    """A server with every handler registered; `connection` need not be started yet."""
    server = LinnixServer(open_feed, connection, **options)
    # Notifications are taken in synchronously, in the order they came.
    for method, take_in in {
        types.INITIALIZE: server.initialize,
        types.INITIALIZED: lambda _: server.run(server.start()),
        types.TEXT_DOCUMENT_DID_OPEN: lambda params: server.opened(params.text_document.uri),
        types.TEXT_DOCUMENT_DID_CHANGE: server.changed,
        types.TEXT_DOCUMENT_DID_SAVE: lambda params: server.saved(params.text_document.uri),
        types.TEXT_DOCUMENT_DID_CLOSE: lambda params: server.closed(params.text_document.uri),
        types.WORKSPACE_DID_CHANGE_CONFIGURATION: lambda params: server.run(
            server.change_settings(params.settings)
        ),
        types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: lambda _: server.run(server.change_folders()),
    }.items():
        server.feature(method)(_plain(take_in))
    requests: dict[str, Handler] = {
        types.TEXT_DOCUMENT_HOVER: server.hover,
        types.TEXT_DOCUMENT_CODE_ACTION: server.code_actions,
        types.TEXT_DOCUMENT_CODE_LENS: server.code_lenses,
        types.TEXT_DOCUMENT_INLAY_HINT: server.inlay_hints,
    }
    for method, answer in requests.items():
        server.feature(method)(_answering_null_on_bugs(answer))
    extensions: dict[str, Handler] = {
        ext.STATUS: server.status,
        ext.FINDINGS: server.findings,
        ext.PROCESS_TREE: server.process_tree,
        ext.WATCH: server.watch,
        ext.UNWATCH: server.unwatch,
        ext.WATCH_TAG: server.watch_tag,
        ext.UNWATCH_TAG: server.unwatch_tag,
        ext.RUNS: server.runs,
        ext.RUN: server.run_detail,
        ext.STACK: server.stack,
        ext.PROBES: server.probes,
        ext.PROBE: server.probe,
    }
    for method, answer in extensions.items():
        server.feature(method)(_with_request_errors(answer))
    commands: dict[str, Handler] = {
        to_proto.EXPLAIN: server.explain,
        to_proto.REPRODUCE: server.reproduce,
        to_proto.DISMISS: server.dismiss,
        to_proto.STOP_PROCESS: server.stop_process,
        TRY_FIX: server.try_fix,
        SHOW_LOG: server.show_log,
        EXPLAIN_PROBE: server.explain_probe,
        ASK_MODEL: server.ask_about_refusal,
        probe_lenses.RUN: server.run_probe,
        probe_lenses.RELOAD: server.run_probe,
        probe_lenses.DETACH: server.detach_probe,
        probe_lenses.ROLL_BACK: server.roll_back_probe,
        probe_lenses.DIFF: server.diff_probe,
        probe_lenses.RESET: server.reset_probe,
        probe_lenses.OPEN_PROBE: server.open_probe,
        probe_lenses.WHY: server.why_not_run,
        probe_lenses.SHOW: server.show_probe,
    }
    if server.lessons:
        commands |= server.lessons.commands
        server.feature(ext.LESSONS)(_with_request_errors(server.lessons.listed))
    for command, act in commands.items():
        server.command(command)(_answering_null_on_bugs(_with_request_errors(act)))
    return server


async def serve_connection(
    open_feed: OpenFeed,
    source: BinaryIO,
    sink: BinaryIO,
    *,
    on_started: Callable[[Connection], None] = lambda _: None,
    **options: Unpack[ServerOptions],
) -> int:
    """Serve one client until it says `exit` or its stream ends. Returns the exit status."""
    connection = Connection(source, sink)
    server = build_server(open_feed, connection, **options)
    connection.start()
    on_started(connection)
    try:
        while server.protocol.exit_code is None:
            body = await connection.receive()
            if body is None:
                break
            server.protocol.receive(body)
    finally:
        await server.stop()
        connection.close()
    exit_code = server.protocol.exit_code
    return (0 if server.protocol.is_shut_down else 1) if exit_code is None else exit_code


async def _if_possible(asked: Awaitable[list[ListedT]]) -> list[ListedT]:
    """What one of several has to offer: where it cannot, the others do."""
    try:
        return await asked
    except LinnixError as error:
        logger.info("not offered: %s", error.message)
        return []


def _argument(arguments: Sequence[Any], argument_type: type[ArgumentT]) -> ArgumentT:
    """The one argument of a command."""
    if len(arguments) != 1:
        raise ext.WrongParams(f"expected one argument, not {len(arguments)}")
    return ext.structure(arguments[0], argument_type)


def _plain(function: Callable[[Any], None]) -> Callable[[Any], None]:
    """As a function of its own: pygls puts attributes on what it registers."""

    def taking_in(params: Any) -> None:
        function(params)

    return taking_in


def _with_request_errors(handler: Handler) -> Handler:
    """Turn what a handler refuses into an error reply."""

    async def refusing(*arguments: Any) -> Any:
        try:
            return await handler(*arguments)
        except ext.WrongParams as error:
            raise JsonRpcInvalidParams(str(error)) from error
        except LinnixError as error:
            raise RequestFailed(error.message, data={"fix": error.fix}) from error

    return refusing


def _answering_null_on_bugs(handler: Handler) -> Handler:
    """Editors show a popup for an error reply to a hover or command: a bug is not worth one."""

    async def guarded(*arguments: Any) -> Any:
        try:
            return await handler(*arguments)
        except JsonRpcException:
            raise
        except OutOfDescriptors:
            return None
        except Exception:  # the boundary where our own bugs stop
            logger.exception("a handler failed")
            return None

    return guarded
