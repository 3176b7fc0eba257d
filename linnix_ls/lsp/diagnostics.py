"""Which finding is shown how gravely, and which URIs must be published when. Pure.

Time comes in as a value; what a diagnostic looks like is not known here (`to_proto`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Generic, TypeVar

from linnix_ls.core.findings import Finding, Severity, State

if TYPE_CHECKING:
    from linnix_ls.config import Settings

DiagnosticT = TypeVar("DiagnosticT")


def shown_severity(finding: Finding, settings: Settings) -> Severity | None:
    """How gravely to show `finding`; None when the settings say not to show it at all.

    `min_severity` looks at what the finding was while its process ran: a warning does not vanish
    because the process ended and the warning became information.
    """
    chosen = settings.severity.get(finding.kind, finding.severity)
    if finding.state is State.CLEARED or chosen == "off":
        return None
    severity = Severity(chosen)
    if severity.rank > settings.min_severity.rank:
        return None
    if finding.location and is_excluded(finding.location.path, settings.exclude):
        return None
    if finding.state is State.ENDED:
        return max(severity, Severity.INFORMATION, key=lambda each: each.rank)
    return severity


def severity_in_history(finding: Finding, settings: Settings) -> Severity | None:
    """The same of one that is perhaps over for good, where the past is shown."""
    if finding.state is State.CLEARED:
        finding = replace(finding, state=State.ENDED)
    return shown_severity(finding, settings)


def is_excluded(path: str, globs: Sequence[str]) -> bool:
    """Whether a glob matches the path, or for a relative glob, its end. ``*`` matches ``/`` too."""
    return any(
        fnmatchcase(path, glob if glob.startswith(("/", "*")) else f"*/{glob}") for glob in globs
    )


class Publications(Generic[DiagnosticT]):
    """What the client has been told per URI, against what it should know.

    A change goes out at once, the next one of the same URI `min_interval_s` later at the
    earliest, with whatever is true by then.
    """

    def __init__(self, min_interval_s: float = 0.25) -> None:
        self._min_interval_s = min_interval_s
        self._wanted: dict[str, list[DiagnosticT]] = {}
        self._published: dict[str, list[DiagnosticT]] = {}
        self._published_at_s: dict[str, float] = {}

    def want(self, diagnostics: Mapping[str, list[DiagnosticT]]) -> None:
        """Say what is to be shown: everything, replacing what was wanted before."""
        self._wanted = {uri: listed for uri, listed in diagnostics.items() if listed}

    def take_due(self, now_s: float) -> dict[str, list[DiagnosticT]]:
        """What to publish now; it counts as published. An empty list clears a URI."""
        due = {
            uri: self._wanted.get(uri, [])
            for uri in self._changed()
            if self._due_at_s(uri) <= now_s
        }
        for uri, diagnostics in due.items():
            self._published_at_s[uri] = now_s
            if diagnostics:
                self._published[uri] = diagnostics
            else:
                del self._published[uri]
        self._published_at_s = {
            uri: at_s
            for uri, at_s in self._published_at_s.items()
            if uri in self._published or at_s + self._min_interval_s > now_s
        }
        return due

    def next_due_s(self) -> float | None:
        """When `take_due` will next have something; None while the client knows everything."""
        return min((self._due_at_s(uri) for uri in self._changed()), default=None)

    def _changed(self) -> list[str]:
        uris = sorted(self._wanted.keys() | self._published.keys())
        return [uri for uri in uris if self._wanted.get(uri) != self._published.get(uri)]

    def _due_at_s(self, uri: str) -> float:
        last = self._published_at_s.get(uri)
        return float("-inf") if last is None else last + self._min_interval_s
