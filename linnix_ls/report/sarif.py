"""Findings as SARIF 2.1.0, for code scanning services and editors' SARIF viewers.

Made from the findings document and nothing else, but for the text of the guilty line, which
goes into the fingerprint. Clause numbers are those of the OASIS standard.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any
from urllib.parse import quote

from linnix_ls.core.findings import Kind, Severity
from linnix_ls.pages import finding_page
from linnix_ls.report.document import Document, FindingEntry
from linnix_ls.report.frame import read_frame

SARIF_VERSION = "2.1.0"
# For services that join alerts across runs; the number changes when what is hashed does.
FINGERPRINT = "linnixFinding/v1"

_ROOT = "SRCROOT"
_LEVELS = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFORMATION: "note",
    Severity.HINT: "note",
}
_DESCRIPTIONS = {
    Kind.CPU_SPIN: "A process uses a CPU and gets nowhere.",
    Kind.FORK_STORM: "Processes are started without end.",
    Kind.STUCK: "A process waits for something that cannot come.",
    Kind.LEAKED_CHILD: "A process outlives the run that started it.",
    Kind.MEMORY_RUNAWAY: "A process takes memory without end.",
}


def to_sarif(document: Document) -> bytes:
    """As a file's content: UTF-8, ends with a newline."""
    return json.dumps(build(document), indent=2, ensure_ascii=False).encode() + b"\n"


def build(document: Document) -> dict[str, Any]:
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
        "sarif-schema-2.1.0.json",
        "version": SARIF_VERSION,
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": document.tool.name,
                        "semanticVersion": document.tool.version,
                        "rules": [_rule(kind) for kind in Kind],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {_ROOT: {"uri": _uri(document.cwd).rstrip("/") + "/"}},
                "invocations": [_invocation(document)],
                "results": [_result(finding, document.cwd) for finding in document.findings],
            }
        ],
    }


def _rule(kind: Kind) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": str(kind),
        "name": "".join(word.title() for word in kind.split("_")),
        "shortDescription": {"text": _DESCRIPTIONS[kind]},
        "defaultConfiguration": {"level": "warning"},
    }
    page = finding_page(kind)
    if page:
        rule["helpUri"] = _uri(str(page))
        rule["help"] = {"text": page.read_text("utf-8"), "markdown": page.read_text("utf-8")}
    return rule


def _invocation(document: Document) -> dict[str, Any]:
    invocation: dict[str, Any] = {
        # 3.20.14: about the tool, not about what it ran.
        "executionSuccessful": True,
        "startTimeUtc": document.started_at,
        "workingDirectory": {"uri": _uri(document.cwd)},
        "properties": {
            "command": list(document.command),
            "exitCode": document.exit_code,
            "tracer": document.tracer,
            "events": document.events.model_dump(),
        },
    }
    if document.degraded:
        invocation["toolExecutionNotifications"] = [
            {"level": "warning", "message": {"text": _plain(document.degraded)}}
        ]
    return invocation


def _result(finding: FindingEntry, cwd: str) -> dict[str, Any]:
    explanation = finding.explanation
    summary = explanation.summary if explanation else f"{finding.kind} in {finding.process.comm}"
    said = (explanation.why, explanation.otherwise, *explanation.fix) if explanation else ()
    words = [summary, *said]
    result: dict[str, Any] = {
        "ruleId": str(finding.kind),
        "ruleIndex": list(Kind).index(finding.kind),
        "level": _LEVELS[finding.severity],
        "message": {"text": _plain("\n".join(word for word in words if word))},
        "partialFingerprints": {FINGERPRINT: _fingerprint(finding, cwd)},
        "rank": round(finding.confidence * 100, 1),
        "properties": finding.model_dump(
            mode="json",
            include={"id", "cause", "process", "test", "onset_s", "flagged_s", "evidence"},
        ),
    }
    place = finding.location
    if place:
        region = {"startLine": place.line}
        if place.end_line and place.end_line > place.line:
            region["endLine"] = place.end_line
        location: dict[str, Any] = {"physicalLocation": _physical(place.path, region, cwd)}
        if place.function:
            location["logicalLocations"] = [{"name": place.function, "kind": "function"}]
        result["locations"] = [location]
    if finding.other_locations:
        result["relatedLocations"] = [
            {
                "id": number,
                "message": {"text": _plain(other.role.replace("_", " "))},
                "physicalLocation": _physical(other.path, {"startLine": other.line}, cwd),
            }
            for number, other in enumerate(finding.other_locations, 1)
        ]
    return result


def _plain(text: str) -> str:
    """3.11.6: ``[label](target)`` would be a link."""
    return text.replace("](", r"\](")


def _physical(path: str, region: dict[str, int], cwd: str) -> dict[str, Any]:
    return {"artifactLocation": _artifact(path, cwd), "region": region}


def _artifact(path: str, cwd: str) -> dict[str, str]:
    relative = os.path.relpath(path or ".", cwd)
    if relative.startswith("../"):
        return {"uri": _uri(path)}
    return {"uri": quote(relative), "uriBaseId": _ROOT}


def _uri(path: str) -> str:
    return "file://" + quote(path)


def _fingerprint(finding: FindingEntry, cwd: str) -> str:
    """The same for the same trouble in another run, also after lines were added above it:
    neither pids nor line numbers nor the checkout's place go in."""
    place = finding.location
    parts = [finding.kind, finding.cause, finding.test or ""]
    if place:
        frame = read_frame(place.path, place.line, place.line, n_context=0)
        parts += [os.path.relpath(place.path or ".", cwd), place.function or ""]
        parts += [frame[place.line].strip() if frame else str(place.line)]
    else:
        parts += [finding.process.comm]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
