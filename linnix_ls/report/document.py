"""The findings document, `linnix-findings/1`: what programs read. docs/findings-document.md.

The models are the schema. Adding fields is fine; a change of meaning needs a new number. Not
here: wording. `read` takes a document back, as findings that can be explained again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)

from linnix_ls import __version__
from linnix_ls.core.findings import Cause, Finding, Kind, Severity, State
from linnix_ls.core.ids import NS_PER_S
from linnix_ls.core.text import visible, without_surrogates
from linnix_ls.errors import FindingsFileError
from linnix_ls.feed.base import FeedStatus


def _utf8(value: object) -> object:
    return without_surrogates(value) if isinstance(value, str) else value


# Command lines and paths are bytes. Those that are not UTF-8 would make a document that no
# JSON reader takes.
Text = Annotated[str, BeforeValidator(_utf8)]


def seconds_after(ktime_ns: int, started_ns: int) -> float:
    """In the document's unit; what was under way before the start counts from 0."""
    return round(max(0, ktime_ns - started_ns) / NS_PER_S, 3)


def _seconds_after_start(time: float | None, info: ValidationInfo[int | None]) -> float | None:
    if time is None or info.context is None:
        return time
    return seconds_after(int(time), info.context)


# The validation context is the ktime of the run's start; without one these are seconds already.
_SecondsAfterStart = BeforeValidator(_seconds_after_start)


class _Model(BaseModel):
    # Most entries are made from the core's dataclass of the same fields; or read, by their names.
    model_config = ConfigDict(frozen=True, from_attributes=True, populate_by_name=True)


class ToolEntry(_Model):
    name: str = "linnix-ls"
    version: str = __version__


class EventsEntry(_Model):
    received: int
    lost: int
    processes: int


class ProcessEntry(_Model):
    pid: int = Field(validation_alias=AliasPath("key", "pid"))
    start_ticks: int = Field(validation_alias=AliasPath("key", "start_ticks"))
    ppid: int | None
    comm: Text
    exe: Text | None
    argv: tuple[Text, ...]
    cwd: Text | None


class AncestorEntry(_Model):
    pid: int = Field(validation_alias=AliasPath("key", "pid"))
    comm: Text
    argv: tuple[Text, ...]


class LocationEntry(_Model):
    path: Text
    line: int
    end_line: int | None
    function: Text | None
    confidence: float
    reason: Text


class OtherLocationEntry(_Model):
    path: Text
    line: int
    role: Text


class EvidenceEntry(_Model):
    id: Text
    name: Text
    value: float | int | Text
    unit: Text
    window_s: float | None
    source: Text


class EditEntry(_Model):
    path: Text
    line: int
    old: Text
    new: Text


class PatchEntry(_Model):
    by: Text
    title: Text
    edits: tuple[EditEntry, ...]


class NoteEntry(_Model):
    model: Text
    text: Text
    cites: tuple[str, ...]
    patch: PatchEntry | None


class ExplanationEntry(_Model):
    by: Text
    summary: Text
    why: Text
    fix: tuple[Text, ...]
    cites: tuple[str, ...]
    otherwise: Text = ""
    note: NoteEntry | None = None


class FindingEntry(_Model):
    id: str
    kind: Kind
    cause: Cause
    severity: Severity
    confidence: float
    process: ProcessEntry
    ancestry: tuple[AncestorEntry, ...]
    location: LocationEntry | None
    other_locations: tuple[OtherLocationEntry, ...]
    test: Text | None
    onset_s: Annotated[float, _SecondsAfterStart] = Field(validation_alias="onset_ns")
    flagged_s: Annotated[float, _SecondsAfterStart] = Field(validation_alias="flagged_ns")
    cleared_s: Annotated[float | None, _SecondsAfterStart] = Field(validation_alias="ended_ns")
    evidence: tuple[EvidenceEntry, ...]
    explanation: ExplanationEntry | None = None


class Document(_Model):
    """One run and what was found in it."""

    # `schema` is taken: pydantic's own BaseModel.schema().
    schema_: Literal["linnix-findings/1"] = Field(default="linnix-findings/1", alias="schema")
    tool: ToolEntry = ToolEntry()
    tracer: str | None
    degraded: Text | None
    command: tuple[Text, ...]
    cwd: Text
    exit_code: int | None
    started_at: Text
    duration_s: float
    events: EventsEntry
    findings: tuple[FindingEntry, ...]


@dataclass(frozen=True, slots=True)
class Busy:
    """A process that kept a CPU for long, of which nothing was proved."""

    comm: str
    pid: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The run as a whole.

    Attributes:
        exit_code: 128+n after signal n; None when it is not known (a replay).
        started_at: by the wall clock, with a time zone.
        started_ns: ktime of CMD's start, from which all times in the document count.
        busy: where nothing was found, and somebody could wonder about this one.
    """

    command: tuple[str, ...]
    cwd: str
    exit_code: int | None
    started_at: datetime
    started_ns: int
    duration_s: float
    busy: Busy | None = None


def build(facts: RunFacts, status: FeedStatus, findings: Iterable[Finding]) -> Document:
    return Document(
        tracer=status.tracer,
        degraded=status.degraded,
        command=facts.command,
        cwd=facts.cwd,
        exit_code=facts.exit_code,
        started_at=iso_time(facts.started_at),
        duration_s=round(facts.duration_s, 3),
        events=EventsEntry(
            received=status.n_received, lost=status.n_lost, processes=status.n_processes
        ),
        findings=tuple(
            FindingEntry.model_validate(finding, context=facts.started_ns) for finding in findings
        ),
    )


def with_findings(document: Document, findings: Iterable[Finding]) -> Document:
    """That document, with these findings of it, of which times count from the start."""
    entries = tuple(FindingEntry.model_validate(finding, context=0) for finding in findings)
    return document.model_copy(update={"findings": entries})


def to_json(document: Document) -> bytes:
    """As a file's content: UTF-8, ends with a newline."""
    return document.model_dump_json(by_alias=True, indent=2).encode() + b"\n"


def iso_time(moment: datetime) -> str:
    """In UTC with milliseconds: ``2026-01-31T12:00:00.000Z``."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def read(content: bytes) -> tuple[Document, tuple[Finding, ...]]:
    """A document that `to_json` or another tool wrote, and its findings as the core has them.

    Times in the findings count from the command's start; what a document does not tell (a user,
    ancestors' folders) is None or 0.

    Raises:
        FindingsFileError: it is no findings document, or of another schema.
    """
    try:
        document = Document.model_validate_json(content)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, detail["loc"])) or "the whole"
        raise FindingsFileError(
            f"this is no findings document: {visible(place, 200)}: {visible(detail['msg'], 200)}",
            fix="linnix-ls run --json FILE -- COMMAND   writes one",
        ) from error
    return document, tuple(_finding(entry, document.cwd) for entry in document.findings)


def _finding(entry: FindingEntry, cwd: str) -> Finding:
    known = entry.model_dump()
    process = known.pop("process")
    ancestry = [_process(pid=parent.pop("pid"), **parent) for parent in known.pop("ancestry")]
    if ancestry:  # the outermost of them is the command itself
        ancestry[-1]["cwd"] = cwd
    culprit = _process(**process)
    cleared_s = known.pop("cleared_s")
    return _FINDINGS.validate_python(
        known
        | {
            "process": culprit,
            "ancestry": ancestry,
            "run": (ancestry[-1] if ancestry else culprit)["key"],
            "onset_ns": int(known.pop("onset_s") * NS_PER_S),
            "flagged_ns": int(known.pop("flagged_s") * NS_PER_S),
            "ended_ns": None if cleared_s is None else int(cleared_s * NS_PER_S),
            "state": State.RAISED if cleared_s is None else State.ENDED,
        }
    )


_FINDINGS = TypeAdapter(Finding)


def _process(pid: int, start_ticks: int = 0, **known: Any) -> dict[str, Any]:
    absent = {"ppid": None, "uid": 0, "exe": None, "cwd": None}
    return absent | known | {"key": {"pid": pid, "start_ticks": start_ticks}}
