"""Shows findings in the client: works out what it should know and tells it what is new. With them
go the diagnostics of probe source (`probes`), which a file may have as well.

Sends nothing while the client is not keeping up, and then whatever is true by the time it has
caught up, so news never piles up. Not here: requests (`server`), rules (`diagnostics`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.workspace import PositionCodec

from linnix_ls.core.findings import Finding, Severity
from linnix_ls.feed.base import FeedStatus
from linnix_ls.lsp import ext, to_proto
from linnix_ls.lsp.diagnostics import Publications, shown_severity
from linnix_ls.lsp.documents import Documents, line_after_edit

if TYPE_CHECKING:
    from linnix_ls.config import Settings


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding with its place in the client; `uri` and `diagnostic` are None without one.

    Attributes:
        last_line: of the guilty ones, from 0; the diagnostic underlines the first.
    """

    finding: Finding
    severity: Severity
    uri: str | None = None
    diagnostic: types.Diagnostic | None = None
    last_line: int = 0


class Presenter:
    """See the module. Use on the event loop's thread.

    Args:
        notify: sends a notification: method and params.
        is_congested: whether sending should wait; call `flush` when it is over.
        with_related: whether the client takes relatedInformation.
        is_pushing: whether the client is sent its diagnostics; else it asks for them.
        refresh: called when diagnostics have changed, for a client that has asked for something
            made of them.
    """

    def __init__(
        self,
        documents: Documents,
        codec: PositionCodec,
        notify: Callable[[str, Any], None],
        is_congested: Callable[[], bool],
        *,
        with_related: bool,
        is_pushing: bool = True,
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        self._documents = documents
        self._codec = codec
        self._notify = notify
        self._is_congested = is_congested
        self.with_related = with_related
        self._is_pushing = is_pushing
        self._refresh = refresh
        self._loop = asyncio.get_running_loop()
        self._shown: list[Shown] = []
        self._lines: dict[str, int] = {}
        self._of_probes: dict[tuple[str, str], list[types.Diagnostic]] = {}
        self._diagnostics: Publications[types.Diagnostic] = Publications()
        self._findings: Publications[tuple[Finding, Severity]] = Publications()
        self._status: Publications[FeedStatus] = Publications()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def shown(self) -> Sequence[Shown]:
        """What the settings let through."""
        return self._shown

    def at(self, uri: str, first_line: int, last_line: int) -> list[Shown]:
        """What is shown in these lines, which count from 0."""
        return [
            each
            for each in self._shown
            if each.uri == uri
            and each.diagnostic
            and each.diagnostic.range.start.line <= last_line
            and first_line <= each.last_line
        ]

    def by_uri(self) -> dict[str, list[Shown]]:
        """All that have a place."""
        placed: dict[str, list[Shown]] = {}
        for each in self._shown:
            if each.uri and each.diagnostic:
                placed.setdefault(each.uri, []).append(each)
        return placed

    def diagnostics(self) -> dict[str, list[types.Diagnostic]]:
        """All of both kinds, by URI."""
        listed = {
            uri: [each.diagnostic for each in placed if each.diagnostic]
            for uri, placed in self.by_uri().items()
        }
        for (uri, _), of_probe in self._of_probes.items():
            listed[uri] = [*listed.get(uri, []), *of_probe]
        return listed

    def show_probe(
        self, uri: str, diagnostics: list[types.Diagnostic], teller: str = "probes"
    ) -> None:
        """Show these of that document's source, and no others that `teller` has told of."""
        self._of_probes.pop((uri, teller), None)
        if diagnostics:
            self._of_probes[uri, teller] = diagnostics
        self._diagnostics.want(self.diagnostics())
        self.flush()

    def show(self, findings: Sequence[Finding], settings: Settings) -> None:
        """Show these and only these."""
        self._lines = {
            finding.id: self._lines.get(finding.id, finding.location.line - 1)
            for finding in findings
            if finding.location
        }
        self._shown = [
            self._place(finding, severity)
            for finding in findings
            if (severity := shown_severity(finding, settings))
        ]
        self._diagnostics.want(self.diagnostics())
        self._findings.want(
            {each.finding.id: [(each.finding, each.severity)] for each in self._shown}
        )
        self.flush()

    def show_status(self, status: FeedStatus) -> None:
        self._status.want({ext.DID_CHANGE_STATUS: [status]})
        self.flush()

    def show_again(self, finding_id: str) -> None:
        """Say a finding again, though it is the same: what can be done about it is not."""
        for each in self._shown:
            if each.finding.id == finding_id and not self._is_congested():
                listed = [self.finding_object(each.finding, each.severity)]
                self._notify(ext.DID_CHANGE_FINDINGS, {"findings": listed, "removed": []})

    def is_shown_in(self, uri: str) -> bool:
        return any(each.uri == uri for each in self._shown)

    def edited(self, uri: str, change: types.TextDocumentContentChangePartial) -> None:
        """Move the findings of a document along with an edit; `show` makes it seen."""
        for each in self._shown:
            if each.uri != uri:
                continue
            self._lines[each.finding.id] = line_after_edit(
                self._lines[each.finding.id],
                change.range.start.line,
                change.range.end.line,
                change.range.end.character,
                change.text,
            )

    def flush(self) -> None:
        """Send what is due, unless the client is not keeping up."""
        if self._is_congested():
            return
        now_s = self._loop.time()
        due_diagnostics = self._diagnostics.take_due(now_s)
        for uri, diagnostics in due_diagnostics.items() if self._is_pushing else ():
            self._notify(
                types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS,
                types.PublishDiagnosticsParams(uri=uri, diagnostics=diagnostics),
            )
        if due_diagnostics:
            self._refresh()
        if due := self._findings.take_due(now_s):
            changed = [self.finding_object(*each) for listed in due.values() for each in listed]
            removed = [finding_id for finding_id, listed in due.items() if not listed]
            self._notify(ext.DID_CHANGE_FINDINGS, {"findings": changed, "removed": removed})
        for statuses in self._status.take_due(now_s).values():
            self._notify(ext.DID_CHANGE_STATUS, ext.status_object(statuses[0]))
        self._flush_later()

    def finding_object(self, finding: Finding, severity: Severity) -> dict[str, Any]:
        uri = self._documents.uri(finding.location.path) if finding.location else None
        return ext.finding_object(finding, severity, time.time_ns() - time.monotonic_ns(), uri)

    def _flush_later(self) -> None:
        if self._timer:
            self._timer.cancel()
        dues = [each.next_due_s() for each in (self._diagnostics, self._findings, self._status)]
        if known := [due for due in dues if due is not None]:
            self._timer = self._loop.call_at(min(known), self.flush)

    def _place(self, finding: Finding, severity: Severity) -> Shown:
        location = finding.location
        if location is None:
            return Shown(finding, severity)
        first = self._lines[finding.id]
        n_more = max(0, (location.end_line or location.line) - location.line)
        where = to_proto.line_range(self._documents.lines(location.path), first, self._codec)
        related = to_proto.related_information(finding, self._locate) if self.with_related else None
        return Shown(
            finding,
            severity,
            self._documents.uri(location.path),
            to_proto.diagnostic(finding, severity, where, related),
            where.start.line + n_more,
        )

    def _locate(self, path: str, line: int) -> types.Location:
        return types.Location(
            uri=self._documents.uri(path),
            range=to_proto.line_range(self._documents.lines(path), line - 1, self._codec),
        )
