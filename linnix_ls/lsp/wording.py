"""What we say about a finding, as one line, as markdown and as plain text.

The words of an explanation come with the finding; what is made here only arranges them. All text
of foreign origin goes through `text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from linnix_ls.core.detectors.wording import label_of, value_of
from linnix_ls.core.findings import Edit, Evidence, Finding, Kind, Note, ProcessInfo, State
from linnix_ls.core.text import visible
from linnix_ls.lsp.text import code_span, markdown, message, prose

_WHAT_IT_DOES = {
    Kind.CPU_SPIN: "spins on a CPU",
    Kind.FORK_STORM: "starts processes without end",
    Kind.STUCK: "is blocked for ever",
    Kind.LEAKED_CHILD: "outlives the run that started it",
    Kind.MEMORY_RUNAWAY: "takes memory without end",
}
_MAX_CHAIN = 12
_MAX_NOTE_CHARS = 2000
_MAX_MODEL_CHARS = 60
_MAX_CODE_CHARS = 160
_MAX_COMMAND_CHARS = 1000


def process(info: ProcessInfo) -> str:
    return f"{visible(info.comm)} (pid {info.key.pid})"


def headline(finding: Finding) -> str:
    """One line: the diagnostic's message."""
    if finding.explanation:
        said = visible(finding.explanation.summary)
    else:
        said = f"{process(finding.process)} {_WHAT_IT_DOES[finding.kind]}"
        if finding.cause != "other":
            said += f": {finding.cause.replace('_', ' ')}"
    if finding.state is State.ENDED:
        said += " (the process has ended)"
    return said


def news(findings: Sequence[Finding]) -> str:
    """Of what has just been found (at least one), in a line."""
    n_more = len(findings) - 1
    return headline(findings[0]) + (f" (and {n_more} more findings)" if n_more else "")


def explanation(finding: Finding) -> str:
    """A few plain lines: what, why, and what to do."""
    lines = [headline(finding)]
    if finding.explanation:
        lines += [visible(finding.explanation.why)]
        lines += [f"- {visible(step)}" for step in finding.explanation.fix]
        lines += [visible(finding.explanation.otherwise)]
    return "\n".join(line for line in lines if line)


def reproduction(line: str) -> str:
    """How it is run again. Never a part of the line: it would do something else."""
    if len(line) > _MAX_COMMAND_CHARS:
        return "the command that runs it again is long; it is in the log"
    if message(line) != line:
        return "the command that runs it again would look like a link here; it is in the log"
    return f"to run it again: {line}"


def note(written: Note) -> str:
    """A model's note in plain lines, under its name."""
    lines = [f"{_by(written)}: {visible(written.text, _MAX_NOTE_CHARS)}"]
    for edit in written.patch.edits if written.patch else ():
        lines.append(f"It proposes, for line {edit.line}:")
        lines += _changed(edit)
    return "\n".join(lines)


def as_plain_text(finding: Finding) -> str:
    """Everything, for a client that shows no markdown."""
    lines = [explanation(finding), ""]
    if finding.explanation and finding.explanation.note:
        lines += [note(finding.explanation.note), ""]
    lines += [f"{label_of(e)}: {_quantity(e)} ({visible(e.source)})" for e in finding.evidence]
    if finding.test:
        lines += ["", f"test: {visible(finding.test)}"]
    lines += ["", "processes:"]
    lines += [f"{'  ' * depth}{process(info)}" for depth, info in _chain(finding)]
    return "\n".join(lines)


def as_markdown(finding: Finding, *, with_headline: bool = True) -> str:
    """Everything, for a hover."""
    who = markdown(process(finding.process))
    parts = [f"**{finding.kind}** / {finding.cause}: {who}, confidence {finding.confidence:.0%}"]
    if with_headline:
        parts.append(markdown(headline(finding)))
    if finding.explanation:
        parts.append(prose(finding.explanation.why))
        parts.append("\n".join(f"- {prose(step)}" for step in finding.explanation.fix))
        parts.append(prose(finding.explanation.otherwise))
    if finding.evidence:
        rows = ["| | evidence | value | seen by |", "|---|---|---|---|"]
        rows += [
            f"| {markdown(e.id)} | {markdown(label_of(e))} | {markdown(_quantity(e))}"
            f" | {markdown(e.source)} |"
            for e in finding.evidence
        ]
        parts.append("\n".join(rows))
    if finding.test:
        parts.append(f"Test: {code_span(finding.test)}")
    if finding.location and finding.location.reason:
        parts.append(
            f"This line, because: {markdown(finding.location.reason)} "
            f"(confidence {finding.location.confidence:.0%})"
        )
    parts.append("Processes:")
    parts.append(
        "\n".join(
            f"{'  ' * depth}- {markdown(process(info))} {code_span(' '.join(info.argv))}"
            for depth, info in _chain(finding)
        )
    )
    if finding.explanation and finding.explanation.note:
        parts += ["---", *_note_as_markdown(finding.explanation.note)]
    return "\n\n".join(part for part in parts if part)


def _note_as_markdown(written: Note) -> Iterator[str]:
    """Below a rule, so that nobody takes it for what was measured."""
    yield f"**{markdown(_by(written))}**"
    yield markdown(visible(written.text, _MAX_NOTE_CHARS))
    for edit in written.patch.edits if written.patch else ():
        yield f"It proposes, not tried yet, for line {edit.line}:"
        changed = "\n".join(_changed(edit))
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", changed)), default=0))
        yield f"{fence}diff\n{changed}\n{fence}"


def _by(written: Note) -> str:
    return f"AI note, by {visible(written.model, _MAX_MODEL_CHARS)}, not measured"


def _changed(edit: Edit) -> list[str]:
    return [
        f"{sign}{visible(line.expandtabs(4), _MAX_CODE_CHARS)}"
        for sign, lines in (("-", edit.old), ("+", edit.new))
        for line in lines.splitlines()
    ]


def _chain(finding: Finding) -> Iterator[tuple[int, ProcessInfo]]:
    """From the run down to the culprit, with depths; the nearest ones if there are many."""
    return enumerate([*reversed(finding.ancestry[:_MAX_CHAIN]), finding.process])


def _quantity(evidence: Evidence) -> str:
    window = f" over {evidence.window_s:.3g} s" if evidence.window_s is not None else ""
    return f"{value_of(evidence)}{window}"
