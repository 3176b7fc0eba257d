"""What `run` and `replay` share: the options that say what is found and where it goes, and sending
it there.

Not here: where findings come from.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from linnix_ls.errors import UsageError

if TYPE_CHECKING:
    from linnix_ls.cli.screen import Screen
    from linnix_ls.core.findings import Finding
    from linnix_ls.core.policy import Policy
    from linnix_ls.feed.base import FeedStatus
    from linnix_ls.report.document import Document, RunFacts

SEVERITIES = ("error", "warning", "information", "hint")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", metavar="FILE", help="write the findings document there; - for stdout"
    )
    parser.add_argument("--sarif", metavar="FILE", help="write SARIF 2.1.0 there; - for stdout")
    parser.add_argument(
        "--min-severity",
        choices=SEVERITIES,
        default="hint",
        help="leave out what is less grave (default: hint, nothing)",
    )
    parser.add_argument(
        "--threshold",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="judge by another threshold: spin.suspicion_cores=0.9; may be given again",
    )


def policy_of(assignments: Sequence[str]) -> Policy:
    """The thresholds, with those that `--threshold` sets.

    Raises:
        UsageError: there is no such threshold, or it takes no such value.
    """
    from linnix_ls.core.policy import Policy

    if not assignments:
        return Policy()
    from linnix_ls.config import parse_thresholds  # pydantic takes 0.2 s

    fix = "--threshold GROUP.NAME=NUMBER; docs/thresholds.md has all of them"
    raw: dict[str, Any] = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        group, _, last = name.strip().rpartition(".")
        within = raw.setdefault(group, {}) if group else raw
        try:
            within[last] = json.loads(value)
        except (ValueError, TypeError, RecursionError):
            raise UsageError(f"--threshold {assignment}: that is no NAME=NUMBER", fix=fix) from None
    policy, problems = parse_thresholds(raw)
    if problems:
        raise UsageError(f"--threshold {problems[0]}", fix=fix)
    return policy


class Outputs:
    """The files that were asked for, opened at once: before CMD has run for an hour in vain.

    Raises:
        UsageError: one cannot be written.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        if args.json == args.sarif == "-":
            raise UsageError("--json and --sarif cannot both go to stdout")
        self._json = _open(args.json)
        self._sarif = _open(args.sarif)

    def write(self, document: Document) -> None:
        """Write and close them.

        Raises:
            OSError: the disk is full, or the reader has gone.
        """
        from linnix_ls.report.document import to_json
        from linnix_ls.report.sarif import to_sarif

        for file, to_bytes in ((self._json, to_json), (self._sarif, to_sarif)):
            if file:
                with file:
                    file.write(to_bytes(document))


def check_writable(path: str) -> None:
    """Make an empty file there, for who writes it later.

    Raises:
        UsageError: that is not possible.
    """
    file = _open(path)
    if file:
        file.close()


def is_grave_enough(finding: Finding, min_severity: str) -> bool:
    return finding.severity.rank <= SEVERITIES.index(min_severity)


def report(
    screen: Screen,
    outputs: Outputs,
    facts: RunFacts,
    status: FeedStatus,
    findings: Sequence[Finding],
) -> bool:
    """The end of a run: the summary, then the documents. Whether they could be written."""
    from linnix_ls.report import document, text

    screen.show(text.summary(facts, status, findings))
    try:
        outputs.write(document.build(facts, status, findings))
    except OSError as error:
        screen.show(text.notice(f"cannot write the report: {error.strerror}"))
        return False
    return True


def _open(path: str | None) -> BinaryIO | None:
    if path is None:
        return None
    try:
        if path == "-":
            return os.fdopen(os.dup(1), "wb")
        return open(path, "wb")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
