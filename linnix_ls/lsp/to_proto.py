"""Findings into LSP values.

Positions count in the client's encoding. lsprotocol's constructors get every argument by keyword:
their order changes with the protocol's version. Not here: words (`wording`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache

from lsprotocol import types
from pygls.workspace import PositionCodec

from linnix_ls.core.findings import Finding, Kind, Severity, State
from linnix_ls.core.text import visible
from linnix_ls.core.tree import to_be_stopped
from linnix_ls.lsp import wording
from linnix_ls.lsp.documents import uri_of_path
from linnix_ls.lsp.probe_lenses import OPEN_PROBE
from linnix_ls.pages import finding_page

SOURCE = "linnix"
STOP_PROCESS = "linnix.stopProcess"
DISMISS = "linnix.dismiss"
EXPLAIN = "linnix.explain"
REPRODUCE = "linnix.reproduce"
# What a client may be able to do: it says so in `capabilities.experimental.linnix.commands`.
REVEAL_PROCESS = "linnix.revealProcess"
COPY_REPRODUCTION = "linnix.copyReproduction"

_SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.INFORMATION: types.DiagnosticSeverity.Information,
    Severity.HINT: types.DiagnosticSeverity.Hint,
}
_ROLES = {
    "test": "the test that runs it",
    "spawn_site": "started here",
    "caller": "called from here",
    "callee": "inside this call",
    "origin": "comes from here",
}
_MAX_ARGUMENTS_LOOKED_AT = 20
_MAX_RELATED = 20


def line_range(lines: Sequence[str] | None, line: int, codec: PositionCodec) -> types.Range:
    """From the first non-blank character of a line to the end of its text.

    Never more than one line: over several, editors underline the indentation of those that follow
    too. Lines count from 0 and are drawn into the file if it has become shorter. Of a file that
    cannot be read, the whole line.
    """
    if lines is None:
        return types.Range(
            start=types.Position(line=line, character=0),
            end=types.Position(line=line + 1, character=0),
        )
    line = max(0, min(line, len(lines) - 1))
    text = lines[line]
    indentation = text[: len(text) - len(text.lstrip())]
    return types.Range(
        start=types.Position(line=line, character=codec.client_num_units(indentation)),
        end=types.Position(line=line, character=codec.client_num_units(text.rstrip())),
    )


def diagnostic(
    finding: Finding,
    severity: Severity,
    where: types.Range,
    related: list[types.DiagnosticRelatedInformation] | None,
) -> types.Diagnostic:
    page = finding_page(finding.kind)
    return types.Diagnostic(
        range=where,
        message=wording.headline(finding),
        severity=_SEVERITIES[severity],
        source=SOURCE,
        code=str(finding.kind),
        code_description=types.CodeDescription(href=uri_of_path(str(page))) if page else None,
        related_information=related,
        data={
            "finding_id": finding.id,
            "pid": finding.process.key.pid,
            "start_ticks": finding.process.key.start_ticks,
            "kind": str(finding.kind),
            "cause": str(finding.cause),
        },
    )


def related_information(
    finding: Finding, locate: Callable[[str, int], types.Location]
) -> list[types.DiagnosticRelatedInformation]:
    """The test, other places of the story, and the parents as far as they run a file.

    Args:
        locate: from a path and a line that counts from 1.
    """
    places = [
        (
            other.path,
            other.line,
            f"{_ROLES.get(other.role, visible(other.role))}: {visible(finding.test)}"
            if other.role == "test" and finding.test
            else _ROLES.get(other.role, visible(other.role)),
        )
        for other in sorted(finding.other_locations, key=lambda other: other.role != "test")
    ]
    places += [
        (path, 1, f"started by {wording.process(parent)}")
        for parent in finding.ancestry
        if (path := file_of_command(parent.argv, parent.cwd))
    ]
    return [
        types.DiagnosticRelatedInformation(location=locate(path, line), message=message)
        for path, line, message in places[:_MAX_RELATED]
    ]


@lru_cache(maxsize=512)  # asked again for each publication; looks at the disk
def file_of_command(argv: tuple[str, ...], cwd: str | None) -> str | None:
    """The file that a command works on: its first argument that is a file, or make's Makefile."""
    if not argv or cwd is None:
        return None
    names = list(argv[1:_MAX_ARGUMENTS_LOOKED_AT])
    if os.path.basename(argv[0]) in ("make", "gmake"):
        names = ["GNUmakefile", "makefile", "Makefile"]
    for name in names:
        # pytest's "file.py::test" names a file as well.
        path = os.path.normpath(os.path.join(cwd, name.split("::")[0]))
        if not name.startswith("-") and "\0" not in path and os.path.isfile(path):
            return path
    return None


def hover(
    shown: Sequence[tuple[Finding, types.Range]],
    kind: types.MarkupKind,
    *,
    with_headline: bool = True,
) -> types.Hover:
    """One hover about all findings (at least one) of a line.

    Args:
        with_headline: whether it begins with what the diagnostics say, where it is markdown.
    """
    if kind is types.MarkupKind.Markdown:
        value = "\n\n---\n\n".join(
            wording.as_markdown(finding, with_headline=with_headline) for finding, _ in shown
        )
    else:
        value = "\n\n".join(wording.as_plain_text(finding) for finding, _ in shown)
    return types.Hover(contents=types.MarkupContent(kind=kind, value=value), range=shown[0][1])


def code_actions(
    finding: Finding,
    shown: types.Diagnostic,
    client_commands: Collection[str] = (),
    *,
    is_reproducible: bool = False,
    is_by_probe: bool = False,
) -> list[types.CodeAction]:
    """What can be done about a finding, the most wanted first.

    Args:
        client_commands: those that the client has said it can do.
        is_reproducible: whether it is known how the run is started again.
        is_by_probe: whether a probe of ours has found it.
    """
    named: dict[str, object] = {"finding_id": finding.id}
    offers: list[tuple[str, str, dict[str, object]]] = []
    if finding.state is State.RAISED:
        offers.append((stop_title(finding), STOP_PROCESS, named))
    offers.append(("Explain: " + finding.kind.replace("_", " "), EXPLAIN, named))
    if REVEAL_PROCESS in client_commands:
        key = finding.process.key
        process = {"pid": key.pid, "start_ticks": key.start_ticks}
        title = f"Open process {key.pid} in the panel"
        offers.append((title, REVEAL_PROCESS, {**named, "process": process}))
    if is_reproducible and COPY_REPRODUCTION in client_commands:
        offers.append(("Copy the command that runs it again", COPY_REPRODUCTION, named))
    elif is_reproducible:
        offers.append(("Show the command that runs it again", REPRODUCE, named))
    if is_by_probe:
        offers.append(("Open the probe that found this", OPEN_PROBE, named))
    offers.append(("Dismiss", DISMISS, named))
    return [
        types.CodeAction(
            title=title,
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[shown],
            command=types.Command(title=title, command=command, arguments=[argument]),
        )
        for title, command, argument in offers
    ]


def code_lenses(finding: Finding, shown: types.Diagnostic) -> list[types.CodeLens]:
    """Above the line, for whoever does not open the menu of code actions."""
    is_running = finding.state is State.RAISED
    offers = [
        (f"{finding.kind}: explain" if is_running else f"{finding.kind} (ended): explain", EXPLAIN),
        ("stop", STOP_PROCESS) if is_running else ("dismiss", DISMISS),
    ]
    # A lens must not span lines.
    where = types.Range(start=shown.range.start, end=shown.range.start)
    return [
        types.CodeLens(
            range=where,
            command=types.Command(
                title=title, command=command, arguments=[{"finding_id": finding.id}]
            ),
        )
        for title, command in offers
    ]


def result_id(diagnostics: Sequence[types.Diagnostic]) -> str:
    """The same for the same diagnostics, so that a client that has them is not sent them again."""
    return hashlib.sha256(repr(diagnostics).encode("utf-8", "replace")).hexdigest()[:16]


def stops_tree(finding: Finding) -> bool:
    """Whether stopping the one process would not end it: a storm goes on in its children."""
    return finding.kind is Kind.FORK_STORM


def stop_title(finding: Finding) -> str:
    info = to_be_stopped(finding)
    title = f"Stop process {info.key.pid} ({visible(info.comm)})"
    return f"{title} and its children" if stops_tree(finding) else title


def stop_process_title(pid: int, comm: str, n_below: int) -> str:
    """`n_below`: how many go with it."""
    title = f"Stop process {pid} ({visible(comm)})"
    if not n_below:
        return title
    below = "the process" if n_below == 1 else f"the {n_below} processes"
    return f"{title} and {below} below it"
