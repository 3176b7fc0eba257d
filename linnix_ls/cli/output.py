"""What `run` and `replay` share: the options that say where findings go, and sending them there.

Not here: where findings come from.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from linnix_ls.errors import UsageError

if TYPE_CHECKING:
    from linnix_ls.cli.screen import Screen
    from linnix_ls.core.findings import Finding
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
