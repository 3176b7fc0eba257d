"""Findings in the manner of a good compiler, as rich text. Width and colour are the screen's.

    warning[cpu_spin]: python3 asks an empty queue 310,000 times a second
      --> pump.py:41 in drain
       |
    39 |     def drain(self):
    40 |         while True:
    41 |             if self.queue.empty():
       |             ^^^^^^^^^^^^^^^^^^^^^^ python stack, 97 of 99 samples (90% sure)
    42 |                 continue
       |
       = test: tests/test_pump.py::test_drain
       = process: pytest(4400) → python3(4412)

Everything of foreign origin goes through `visible`; no markup is ever interpreted. Not here:
what is said about a finding (`core.detectors`), and where it is written to (`cli.screen`).
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from linnix_ls.core.detectors.wording import label_of, value_of
from linnix_ls.core.findings import Finding, Note, ProcessInfo, Severity, SourceLocation
from linnix_ls.core.text import visible
from linnix_ls.feed.base import FeedStatus
from linnix_ls.report.document import RunFacts, seconds_after
from linnix_ls.report.frame import Frame, read_frame

SEVERITY_STYLES = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "bold yellow",
    Severity.INFORMATION: "bold cyan",
    Severity.HINT: "bold green",
}
_GUTTER_STYLE = "bold blue"
_MAX_SPAN = 9  # guilty lines; of longer ones the first and last are shown
_MAX_CHAIN = 8
_MAX_COMMAND_CHARS = 160
_MAX_MODEL_CHARS = 60
_MAX_NOTE_CHARS = 2000
_NOTE_WIDTH = 96
_NOTE_STYLE = "bold magenta"


def finding_block(finding: Finding, *, cwd: str, started_ns: int) -> Text:
    """Everything about one finding. Begins with an empty line, as CMD may be in the middle of
    one of its own; ends with a newline.

    Args:
        cwd: paths below it are shown relative to it.
        started_ns: ktime of the run's start.
    """
    block = Text("\n").append_text(_headline(finding))
    place = finding.location
    frame = place and read_frame(place.path, place.line, _shown_end(place))
    width = len(str(frame.last)) if frame else 1
    if place:
        block.append(f"{' ' * width}--> ", _GUTTER_STYLE)
        block.append(_place(place, cwd) + "\n")
        if frame:
            block.append_text(_code(place, frame, SEVERITY_STYLES[finding.severity]))
        else:
            block.append_text(_note(width, "here because", _why_here(place)))
    for label, text in _notes(finding, cwd, started_ns):
        block.append_text(_note(width, label, text))
    for step in finding.explanation.fix if finding.explanation else ():
        block.append("help", "bold cyan")
        block.append(f": {visible(step)}\n")
    return block


def note_block(finding: Finding, note: Note, *, cwd: str) -> Text:
    """What a model adds, under its name. Begins with an empty line; ends with a newline."""
    block = Text("\n")
    block.append(f"note[{visible(note.model, _MAX_MODEL_CHARS)}]", _NOTE_STYLE)
    where = _place(finding.location, cwd) if finding.location else _process(finding.process)
    block.append(f": on {finding.id}, {where}; a model's words, not measured\n")
    for line in textwrap.wrap(visible(note.text, _MAX_NOTE_CHARS), _NOTE_WIDTH):
        block.append(f"  {line}\n")
    for edit in note.patch.edits if note.patch else ():
        block.append(f"  {_path(edit.path, cwd)}:{edit.line}, not tried:\n", _GUTTER_STYLE)
        for sign, lines, style in (("-", edit.old, "red"), ("+", edit.new, "green")):
            for line in lines.splitlines():
                block.append(f"  {sign} {visible(line.expandtabs(4), _MAX_COMMAND_CHARS)}\n", style)
    return block


def summary(facts: RunFacts, status: FeedStatus, findings: Sequence[Finding]) -> Text:
    """What was found, a line each, and how well we saw. Ends with a newline."""
    if status.tracer is None:
        return notice(f"nothing was watched · {facts.duration_s:.1f} s")
    busy = None if findings else facts.busy
    nothing = "nothing proved" if busy else "no runaways"
    counted = _counted(len(findings), "finding", "findings") if findings else nothing
    text = Text("\n" if findings else "")
    text.append("linnix", "bold")
    text.append(": ")
    text.append(counted, _gravest_style(findings) if findings else "" if busy else "green")
    if busy:
        text.append(
            f" · {visible(busy.comm)} (pid {busy.pid}) kept a CPU for {busy.cpu_s:.0f} s,"
            " at work as far as could be seen"
        )
    text.append(f" · {_counted(status.n_processes, 'process', 'processes')} watched")
    text.append(f" · {_counted(status.n_received, 'event', 'events')}, ")
    text.append(f"{status.n_lost} lost", "bold yellow" if status.n_lost else "")
    text.append(f" · tracer {status.tracer} · {facts.duration_s:.1f} s\n")
    for finding in findings:
        text.append_text(_summary_line(finding, facts))
    return text


def notice(message: str, fix: str | None = None) -> Text:
    """Something about ourselves, not about CMD. Ends with a newline."""
    text = Text()
    text.append("linnix", "bold")
    text.append(f": {visible(message)}\n")
    if fix:
        text.append(f"  fix: {visible(fix)}\n")
    return text


def _headline(finding: Finding) -> Text:
    text = Text()
    text.append(f"{finding.severity}[{finding.kind}]", SEVERITY_STYLES[finding.severity])
    said = (
        finding.explanation.summary
        if finding.explanation
        else f"{finding.process.comm} (pid {finding.process.key.pid}): "
        f"{finding.kind.replace('_', ' ')}, {finding.cause.replace('_', ' ')}"
    )
    text.append(f": {visible(said)}\n", "bold")
    return text


def _code(place: SourceLocation, frame: Frame, style: str) -> Text:
    """The frame with the guilty lines marked: one underlined, several in brackets."""
    last = min(max(place.line, _shown_end(place)), frame.last)
    is_span = last > place.line
    width = len(str(frame.last))
    text = Text()

    def row(gutter: int | str, code: str = "", mark: str = "", bar: str = " ") -> None:
        text.append(f"{gutter:>{width}} |", _GUTTER_STYLE)
        text.append(f" {bar}" if is_span and (bar != " " or code) else "", style)
        text.append(f" {code}" if code else "")
        text.append(f"{mark}\n", style)

    row("")
    for number in range(frame.first, frame.last + 1):
        line = frame[number]
        is_guilty = place.line <= number <= last
        row(number, line, bar=("/" if number == place.line else "|") if is_guilty else " ")
        if number == last:
            indent = len(line) - len(line.lstrip())
            n_cells = cell_len(line)
            if is_span:
                row("", mark=f"{'_' * n_cells}^ {_why_here(place)}", bar="|")
            else:
                carets = "^" * max(1, n_cells - indent)
                row("", mark=f" {' ' * indent}{carets} {_why_here(place)}")
    row("")
    return text


def _shown_end(place: SourceLocation) -> int:
    """The last line to mark; of a long range the first line stands for all."""
    end = place.end_line or place.line
    return end if end - place.line < _MAX_SPAN else place.line


def _why_here(place: SourceLocation) -> str:
    reason = visible(place.reason) if place.reason else "here"
    return f"{reason} ({place.confidence:.0%} sure)"


def _place(place: SourceLocation, cwd: str) -> str:
    where = f"{_path(place.path, cwd)}:{place.line}"
    if place.end_line and place.end_line > place.line:
        where += f"-{place.end_line}"
    return f"{where} in {visible(place.function)}" if place.function else where


def _path(path: str, cwd: str) -> str:
    is_below = path.startswith(cwd.rstrip("/") + "/")
    return visible(os.path.relpath(path, cwd) if is_below else path)


def _notes(finding: Finding, cwd: str, started_ns: int) -> Iterator[tuple[str, str]]:
    tests = [other for other in finding.other_locations if other.role == "test"]
    if finding.test:
        places = "".join(f" ({_path(other.path, cwd)}:{other.line})" for other in tests)
        yield "test", visible(finding.test) + places
    for other in finding.other_locations:
        if other.role != "test" or not finding.test:
            role = visible(other.role.replace("_", " "))
            yield role, f"{_path(other.path, cwd)}:{other.line}"
    yield "process", _chain(finding)
    if finding.process.argv:
        yield "command", visible(" ".join(finding.process.argv), _MAX_COMMAND_CHARS)
    onset_s, flagged_s = (
        seconds_after(ktime_ns, started_ns) for ktime_ns in (finding.onset_ns, finding.flagged_ns)
    )
    yield "time", f"began {onset_s:.1f} s after the start, noticed at {flagged_s:.1f} s"
    if finding.evidence:
        yield "evidence", ", ".join(f"{label_of(e)} {value_of(e)}" for e in finding.evidence)
    if finding.explanation and finding.explanation.why:
        yield "why", visible(finding.explanation.why)
    if finding.explanation and finding.explanation.otherwise:
        yield "unless", visible(finding.explanation.otherwise)


def _note(width: int, label: str, text: str) -> Text:
    note = Text()
    note.append(f"{' ' * width} = ", _GUTTER_STYLE)
    note.append(label, "bold")
    note.append(f": {text}\n")
    return note


def _chain(finding: Finding) -> str:
    """From the run down to the culprit; of a deep one both ends."""
    chain = [_process(info) for info in (*reversed(finding.ancestry), finding.process)]
    if len(chain) > _MAX_CHAIN:
        half = _MAX_CHAIN // 2
        chain = [*chain[:half], f"({len(chain) - _MAX_CHAIN} more)", *chain[-half:]]
    return " → ".join(chain)


def _process(info: ProcessInfo) -> str:
    return f"{visible(info.comm)}({info.key.pid})"


def _summary_line(finding: Finding, facts: RunFacts) -> Text:
    text = Text("  ")
    text.append(f"{finding.severity}[{finding.kind}]", SEVERITY_STYLES[finding.severity])
    place = finding.location
    text.append(f" {_place(place, facts.cwd) if place else _process(finding.process)}")
    if finding.test:
        text.append(f" · {visible(finding.test)}")
    onset_s = seconds_after(finding.onset_ns, facts.started_ns)
    if finding.ended_ns is None:
        text.append(f" · from {onset_s:.1f} s on\n")
    else:
        ended_s = seconds_after(finding.ended_ns, facts.started_ns)
        text.append(f" · from {onset_s:.1f} s to {ended_s:.1f} s\n")
    return text


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _gravest_style(findings: Iterable[Finding]) -> str:
    gravest = min((finding.severity for finding in findings), key=lambda severity: severity.rank)
    return SEVERITY_STYLES[gravest]
