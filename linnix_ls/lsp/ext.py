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
from linnix_ls.core.findings import Explanation, Finding, Patch, ProcessInfo, Severity
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.text import without_surrogates
from linnix_ls.feed.base import FeedStatus, ProcessView

PREFIX = "linnix/"
STATUS = "linnix/status"
DID_CHANGE_STATUS = "linnix/didChangeStatus"
FINDINGS = "linnix/findings"
DID_CHANGE_FINDINGS = "linnix/didChangeFindings"
PROCESS_TREE = "linnix/processTree"
WATCH = "linnix/watch"
UNWATCH = "linnix/unwatch"
NOTE_PROGRESS = "linnix/noteProgress"

ParamsT = TypeVar("ParamsT")
JsonT = TypeVar("JsonT")

# A bool is an int in Python, and true is not a pid.
_is_pid: list[Callable[[Any, attrs.Attribute[Any], Any], Any]] = [
    attrs.validators.instance_of(int),
    attrs.validators.not_(attrs.validators.instance_of(bool)),
    attrs.validators.ge(1),
]


class WrongParams(ValueError):
    """The parameters of a request or command are not what docs/lsp.md says."""


@attrs.frozen
class WatchParams:
    """`label` is how people will recognise it: a task's or terminal's name."""

    pid: int = attrs.field(validator=_is_pid)
    label: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(str))
    )


@attrs.frozen
class UnwatchParams:
    pid: int = attrs.field(validator=_is_pid)


@attrs.frozen
class FindingArgument:
    """The argument of every command about a finding; `confirmed` is for linnix.stopProcess,
    `quiet` for linnix.explain."""

    finding_id: str = attrs.field(validator=attrs.validators.instance_of(str))
    confirmed: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    quiet: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))


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
        if ktime_ns is None:
            return None
        moment = datetime.fromtimestamp((ktime_ns + wall_offset_ns) / NS_PER_S, tz=UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

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
    return clean(
        {
            "processes": [
                {
                    "pid": view.key.pid,
                    "start_ticks": view.key.start_ticks,
                    "parent": key_object(view.parent),
                    "run": key_object(view.run),
                    "comm": view.comm,
                    "argv": list(view.argv),
                    "cwd": view.cwd,
                    "on_cpu_cores": view.on_cpu_cores,
                    "age_s": view.age_s,
                    "exit_code": view.exit_code,
                    "term_signal": view.term_signal,
                    "has_ended": view.has_ended,
                    "finding_ids": accused.get(view.key, []),
                }
                for view in processes
            ]
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
