"""The `linnix/*` methods: names, parameters, and results as plain JSON objects.

docs/lsp.md describes every one of them, and a test holds the two together. Plain objects because
a tree of 200 processes through typed ones would cost twice the time. Not here: the handlers
(`server`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import attrs

from linnix_ls import __version__
from linnix_ls.core.events import Source
from linnix_ls.core.findings import Explanation, Finding, Patch, ProcessInfo, Severity
from linnix_ls.core.history import RunDetail, RunSummary, Span
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.text import without_surrogates
from linnix_ls.feed.base import FeedStatus, ProcessView, StackView
from linnix_ls.lsp import wording

PREFIX = "linnix/"
STATUS = "linnix/status"
DID_CHANGE_STATUS = "linnix/didChangeStatus"
FINDINGS = "linnix/findings"
DID_CHANGE_FINDINGS = "linnix/didChangeFindings"
PROCESS_TREE = "linnix/processTree"
WATCH = "linnix/watch"
UNWATCH = "linnix/unwatch"
WATCH_TAG = "linnix/watchTag"
UNWATCH_TAG = "linnix/unwatchTag"
RUNS = "linnix/runs"
RUN = "linnix/run"
STACK = "linnix/stack"
NOTE_PROGRESS = "linnix/noteProgress"
PROBES = "linnix/probes"
PROBE = "linnix/probe"
PROBES_CHANGED = "linnix/probesChanged"

ParamsT = TypeVar("ParamsT")
JsonT = TypeVar("JsonT")

# A bool is an int in Python, and true is not a pid.
_is_pid: list[Callable[[Any, attrs.Attribute[Any], Any], Any]] = [
    attrs.validators.instance_of(int),
    attrs.validators.not_(attrs.validators.instance_of(bool)),
    attrs.validators.ge(1),
]


_is_bool = attrs.validators.instance_of(bool)
_is_text = attrs.validators.instance_of(str)
_is_source = attrs.validators.in_([str(source) for source in Source])


class WrongParams(ValueError):
    """The parameters of a request or command are not what docs/lsp.md says."""


def _to_key(raw: object) -> ProcessKey:
    """
    Raises:
        ValueError: it is none.
    """
    if isinstance(raw, ProcessKey):
        return raw
    fields = raw if isinstance(raw, dict) else {}
    pid, start_ticks = fields.get("pid"), fields.get("start_ticks")
    if type(pid) is not int or type(start_ticks) is not int or pid < 1 or start_ticks < 0:
        raise ValueError("expected a process, {pid, start_ticks}")
    return ProcessKey(pid, start_ticks)


@attrs.frozen
class WatchParams:
    """`label` is how people will recognise it: a task's or terminal's name. `is_judged`: false for
    a shell or another process that only starts what is to be judged."""

    pid: int = attrs.field(validator=_is_pid)
    label: str | None = attrs.field(default=None, validator=attrs.validators.optional(_is_text))
    source: str = attrs.field(default=str(Source.OTHER), validator=_is_source)
    is_judged: bool = attrs.field(default=True, validator=_is_bool)


@attrs.frozen
class WatchTagParams:
    value: str = attrs.field(validator=_is_text)
    source: str = attrs.field(default=str(Source.OTHER), validator=_is_source)
    label: str | None = attrs.field(default=None, validator=attrs.validators.optional(_is_text))


@attrs.frozen
class UnwatchTagParams:
    value: str = attrs.field(validator=_is_text)


@attrs.frozen
class RunParams:
    """`since`: the version that the client has."""

    run: ProcessKey = attrs.field(converter=_to_key)
    since: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(int))
    )


@attrs.frozen
class StackParams:
    pid: int = attrs.field(validator=_is_pid)
    start_ticks: int = attrs.field(validator=attrs.validators.instance_of(int))


@attrs.frozen
class UnwatchParams:
    pid: int = attrs.field(validator=_is_pid)


@attrs.frozen
class FindingArgument:
    """The argument of every command about a finding; `quiet` is for linnix.explain and
    linnix.reproduce."""

    finding_id: str = attrs.field(validator=attrs.validators.instance_of(str))
    quiet: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))


@attrs.frozen
class StopArgument:
    """Either of the two; `tree`: all that is below it as well."""

    finding_id: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(_is_text)
    )
    process: ProcessKey | None = attrs.field(
        default=None, converter=attrs.converters.optional(_to_key)
    )
    tree: bool = attrs.field(default=False, validator=_is_bool)
    confirmed: bool = attrs.field(default=False, validator=_is_bool)


@attrs.frozen
class LogArgument:
    """`log`: as a diagnostic's `data.log_id` has it; `quiet`: it is only returned."""

    uri: str = attrs.field(validator=attrs.validators.instance_of(str))
    log: str = attrs.field(validator=attrs.validators.instance_of(str))
    quiet: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))


_is_text_or_none = attrs.validators.optional(_is_text)


@attrs.frozen
class ProbeArgument:
    """A document or a probe; `quiet`: nothing is shown."""

    uri: str | None = attrs.field(default=None, validator=_is_text_or_none)
    id: str | None = attrs.field(default=None, validator=_is_text_or_none)
    quiet: bool = attrs.field(default=False, validator=_is_bool)


@attrs.frozen
class DocumentArgument:
    """`quiet`: nothing is shown."""

    uri: str = attrs.field(validator=_is_text)
    quiet: bool = attrs.field(default=False, validator=_is_bool)


@attrs.frozen
class DiffArgument:
    """`against`: the ``shipped`` one, or the ``base`` of which the copy was made."""

    uri: str = attrs.field(validator=_is_text)
    against: str = attrs.field(
        default="shipped", validator=attrs.validators.in_(("shipped", "base"))
    )
    quiet: bool = attrs.field(default=False, validator=_is_bool)


@attrs.frozen
class OpenProbeArgument:
    """Either of the two; `quiet`: it is not opened."""

    finding_id: str | None = attrs.field(default=None, validator=_is_text_or_none)
    name: str | None = attrs.field(default=None, validator=_is_text_or_none)
    quiet: bool = attrs.field(default=False, validator=_is_bool)


@attrs.frozen
class ProbeParams:
    """`since_event`: of the newest record that the client has."""

    id: str = attrs.field(validator=_is_text)
    since_event: int = attrs.field(default=0, validator=attrs.validators.instance_of(int))


@attrs.frozen
class TryFixArgument:
    """`patch`: as the code action has it; `confirmed` for a model's patch."""

    finding_id: str = attrs.field(validator=attrs.validators.instance_of(str))
    patch: str = attrs.field(validator=attrs.validators.instance_of(str))
    confirmed: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))


def structure(raw: object, params_type: type[ParamsT]) -> ParamsT:
    """Parameters as their type. Names that are not known are ignored, types are not coerced.

    Raises:
        WrongParams: with what is wrong, for the one who wrote the client.
    """
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise WrongParams(f"expected an object, not {type(raw).__name__}")
    known = {field.name for field in attrs.fields(params_type)}  # type: ignore[arg-type]
    try:
        return params_type(**{name: value for name, value in raw.items() if name in known})
    except (TypeError, ValueError) as error:
        # attrs puts the field, its rules and the value into args after the message.
        raise WrongParams(str(error.args[0])) from None


def key_object(key: ProcessKey | None) -> dict[str, int] | None:
    return None if key is None else {"pid": key.pid, "start_ticks": key.start_ticks}


def status_object(status: FeedStatus, explain: dict[str, Any] | None = None) -> dict[str, Any]:
    """`explain`: of `explaining.Explaining`; left out of what is pushed."""
    told = {"explain": explain} if explain else {}
    return {
        "version": __version__,
        "state": str(status.state),
        "tracer": status.tracer,
        "degraded": status.degraded,
        "hint": status.hint,
        "fix": status.fix,
        "events": {
            "received": status.n_received,
            "lost": status.n_lost,
            "processes": status.n_processes,
        },
        **told,
    }


def finding_object(
    finding: Finding, severity: Severity, wall_offset_ns: int, uri: str | None
) -> dict[str, Any]:
    """As in the findings document, but with times of day and the URI that the client uses.

    Args:
        wall_offset_ns: from ktime to the Unix epoch.
    """

    def time_of_day(ktime_ns: int | None) -> str | None:
        return _time_of_day(ktime_ns, wall_offset_ns)

    location = finding.location
    return clean(
        {
            "id": finding.id,
            "kind": str(finding.kind),
            "cause": str(finding.cause),
            "severity": str(severity),
            "confidence": finding.confidence,
            "state": str(finding.state),
            "process": {
                **_process_object(finding.process),
                "start_ticks": finding.process.key.start_ticks,
                "ppid": finding.process.ppid,
                "exe": finding.process.exe,
                "cwd": finding.process.cwd,
            },
            "ancestry": [_process_object(parent) for parent in finding.ancestry],
            "run": key_object(finding.run),
            "location": location
            and {
                "uri": uri,
                "path": location.path,
                "line": location.line,
                "end_line": location.end_line,
                "function": location.function,
                "confidence": location.confidence,
                "reason": location.reason,
            },
            "other_locations": [
                {"path": other.path, "line": other.line, "role": other.role}
                for other in finding.other_locations
            ],
            "test": finding.test,
            "onset_at": time_of_day(finding.onset_ns),
            "flagged_at": time_of_day(finding.flagged_ns),
            "ended_at": time_of_day(finding.ended_ns),
            "evidence": [
                {
                    "id": measured.id,
                    "name": measured.name,
                    "value": measured.value,
                    "unit": measured.unit,
                    "window_s": measured.window_s,
                    "source": measured.source,
                }
                for measured in finding.evidence
            ],
            "explanation": finding.explanation and _explanation_object(finding.explanation),
        }
    )


def _time_of_day(ktime_ns: int | None, wall_offset_ns: int) -> str | None:
    if ktime_ns is None:
        return None
    moment = datetime.fromtimestamp((ktime_ns + wall_offset_ns) / NS_PER_S, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def explanation_object(finding: Finding, problem: str) -> dict[str, Any]:
    """What linnix.explain answers. `problem`: why there is no note; empty if nothing is wrong."""
    return clean(
        {
            "explanation": finding.explanation and _explanation_object(finding.explanation),
            "note_problem": problem or None,
        }
    )


def note_progress_object(finding_id: str, text: str) -> dict[str, Any]:
    return clean({"finding_id": finding_id, "text": text})


def _explanation_object(words: Explanation) -> dict[str, Any]:
    note = words.note
    return {
        "by": words.by,
        "summary": words.summary,
        "why": words.why,
        "fix": list(words.fix),
        "cites": list(words.cites),
        "otherwise": words.otherwise,
        "note": note
        and {
            "model": note.model,
            "text": note.text,
            "cites": list(note.cites),
            "patch": note.patch and _patch_object(note.patch),
        },
    }


def _patch_object(patch: Patch) -> dict[str, Any]:
    return {
        "by": patch.by,
        "title": patch.title,
        "edits": [
            {"path": edit.path, "line": edit.line, "old": edit.old, "new": edit.new}
            for edit in patch.edits
        ],
    }


def process_tree_object(
    processes: Iterable[ProcessView], findings: Iterable[Finding]
) -> dict[str, Any]:
    """A flat list: a client builds the tree it shows from the `parent` keys."""
    accused: dict[ProcessKey, list[str]] = {}
    for finding in findings:
        accused.setdefault(finding.process.key, []).append(finding.id)
    # Cleaned piece by piece: a copy of a large tree would stay behind as holes in memory.
    return {
        "processes": [
            {
                "pid": view.key.pid,
                "start_ticks": view.key.start_ticks,
                "parent": key_object(view.parent),
                "run": key_object(view.run),
                "comm": clean(view.comm),
                "argv": clean(list(view.argv)),
                "cwd": clean(view.cwd),
                "on_cpu_cores": view.on_cpu_cores,
                "age_s": view.age_s,
                "exit_code": view.exit_code,
                "term_signal": view.term_signal,
                "has_ended": view.has_ended,
                "rss_bytes": view.rss_bytes,
                "n_forks": view.n_forks,
                "state": str(view.state),
                "finding_ids": accused.get(view.key, []),
            }
            for view in processes
        ]
    }


def run_object(
    run: RunSummary, findings: Iterable[tuple[Finding, Severity]], wall_offset_ns: int
) -> dict[str, Any]:
    """
    Args:
        findings: those of the run that the settings let through.
        wall_offset_ns: from ktime to the Unix epoch.
    """
    return clean(
        {
            "pid": run.key.pid,
            "start_ticks": run.key.start_ticks,
            "label": run.label,
            "source": str(run.source),
            "comm": run.comm,
            "argv": list(run.argv),
            "cwd": run.cwd,
            "began_at": _time_of_day(run.began_ns, wall_offset_ns),
            "ended_at": _time_of_day(run.ended_ns, wall_offset_ns),
            "duration_s": run.duration_s,
            "has_ended": run.ended_ns is not None,
            "exit_code": run.exit_code,
            "term_signal": run.term_signal,
            "n_processes": run.n_processes,
            "n_alive": run.n_alive,
            "on_cpu_cores": run.on_cpu_cores,
            "cpu_s": run.cpu_s,
            "rss_bytes": run.rss_bytes,
            "peak_cores": run.peak_cores,
            "peak_processes": run.peak_processes,
            "peak_rss_bytes": run.peak_rss_bytes,
            "findings": [
                {
                    "id": finding.id,
                    "kind": str(finding.kind),
                    "severity": str(severity),
                    "state": str(finding.state),
                    "summary": wording.headline(finding),
                    "path": finding.location and finding.location.path,
                    "line": finding.location and finding.location.line,
                    "pid": finding.process.key.pid,
                }
                for finding, severity in findings
            ],
        }
    )


def run_detail_object(
    detail: RunDetail, run: dict[str, Any], findings: list[dict[str, Any]]
) -> dict[str, Any]:
    """`run`: by `run_object`; `findings`: whole ones, by `finding_object`."""
    curves = detail.curves
    return {
        "version": detail.version,
        "is_whole": detail.is_whole,
        "run": run,
        "processes": [_span_object(span) for span in detail.spans],
        "n_left_out": detail.n_left_out,
        "curves": {
            "at_s": list(curves.at_s),
            "cores": list(curves.cores),
            "n_processes": list(curves.n_processes),
            "rss_bytes": list(curves.rss_bytes),
        },
        "findings": findings,
    }


def _span_object(span: Span) -> dict[str, Any]:
    return {
        "pid": span.key.pid,
        "start_ticks": span.key.start_ticks,
        "parent": key_object(span.parent),
        "comm": clean(span.comm),
        "argv": clean(list(span.argv)),
        "began_s": span.began_s,
        "ended_s": span.ended_s,
        "exit_code": span.exit_code,
        "term_signal": span.term_signal,
        "cpu_s": span.cpu_s,
        "n_forks": span.n_forks,
        "finding_ids": list(span.finding_ids),
    }


def stack_object(view: StackView, uri_of: Callable[[str], str | None]) -> dict[str, Any]:
    """`uri_of`: from an absolute path."""
    return clean(
        {
            "threads": [
                {
                    "tid": thread.tid,
                    "is_running": thread.is_running,
                    "frames": [
                        {
                            "function": frame.function,
                            "path": frame.path,
                            "uri": uri_of(frame.path)
                            if frame.path and frame.path.startswith("/")
                            else None,
                            "line": frame.line,
                            "is_user_code": frame.is_user_code,
                        }
                        for frame in thread.frames
                    ],
                }
                for thread in view.threads
            ],
            "problem": view.problem,
            "took_s": view.took_s,
        }
    )


def _process_object(info: ProcessInfo) -> dict[str, Any]:
    return {"pid": info.key.pid, "comm": info.comm, "argv": list(info.argv)}


def clean(value: JsonT) -> JsonT:
    """Without the lone surrogates that stand for bytes that are no UTF-8: no client takes them."""
    cleaned: Any = value
    if isinstance(value, str):
        cleaned = without_surrogates(value)
    elif isinstance(value, dict):
        cleaned = {name: clean(inner) for name, inner in value.items()}
    elif isinstance(value, list):
        cleaned = [clean(inner) for inner in value]
    return cast("JsonT", cleaned)
