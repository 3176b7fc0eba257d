"""`linnix-ls explain FINDINGS.json`: the findings of a document explained again, in words.

By rules from the evidence that is in the document, and if asked by a model as well. Nothing is
measured and nothing is run. Not here: the words (`core.explanations`, `linnix_ls.explain`).
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from linnix_ls.cli import noting, output
from linnix_ls.cli.screen import Screen
from linnix_ls.errors import UsageError

if TYPE_CHECKING:
    from linnix_ls.config import ExplainSettings
    from linnix_ls.core.findings import Finding
    from linnix_ls.report.document import Document

MAX_FILE_BYTES = 64 << 20


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "explain",
        help="explain the findings of an earlier run",
        description="Explain the findings that `linnix-ls run --json FILE` wrote; with a model, "
        "if you ask for one.",
        allow_abbrev=False,
    )
    noting.add_options(parser)
    parser.add_argument("--id", metavar="ID", help="only this finding (f1)")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="show all that would be told to the model, and tell it nothing",
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write the document with the explanations there; - for stdout",
    )
    parser.add_argument("findings", metavar="FINDINGS.json", type=Path)
    parser.set_defaults(run=run, sarif=None)


def run(args: argparse.Namespace) -> int:
    """0, or 1 where a document could not be written.

    Raises:
        UsageError: an option makes no sense, or there is no such finding.
        FindingsFileError: it is no findings document.
    """
    from linnix_ls.report import document

    settings = noting.settings_of(args)
    try:
        with args.findings.open("rb") as file:
            content = file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read {args.findings}: {error.strerror}") from error
    told, findings = document.read(content)
    if args.id is not None:
        findings = tuple(finding for finding in findings if finding.id == args.id)
        if not findings:
            known = ", ".join(entry.id for entry in told.findings) or "none"
            raise UsageError(f"there is no finding {args.id} in it; there are: {known}")
    if args.dry_run:
        return asyncio.run(_show_questions(findings, settings))
    outputs = output.Outputs(args)
    return asyncio.run(_explain(settings, told, findings, outputs))


async def _show_questions(findings: tuple[Finding, ...], settings: ExplainSettings) -> int:
    """On stdout: it may be long, and somebody may want to keep it."""
    from linnix_ls import app
    from linnix_ls.explain.excerpt import read, text_on_disk
    from linnix_ls.explain.notes import question_about
    from linnix_ls.explain.prompt import shown

    writer = app.note_writer(settings)
    if writer is None:
        print("Nothing would be told to anybody: findings are explained by rules.")
        return 0
    for finding in map(explained, findings):
        question = question_about(finding, read(finding, text_on_disk), writer)
        print(f"--- {finding.id}: this, and nothing else, would be told to {writer.target}\n")
        print(shown(question))
    return 0


async def _explain(
    settings: ExplainSettings,
    told: Document,
    findings: tuple[Finding, ...],
    outputs: output.Outputs,
) -> int:
    from linnix_ls.report import document, text

    is_told = settings.source != "none"
    findings = tuple(map(explained, findings) if is_told else map(unexplained, findings))
    screen = Screen()
    try:
        if not findings:
            screen.show(text.notice("there are no findings in it"))
        for finding in findings:
            screen.show(text.finding_block(finding, cwd=told.cwd, started_ns=0))
        if findings:
            findings = tuple(await noting.with_notes(findings, settings, screen, told.cwd))
        outputs.write(document.with_findings(told, findings))
    except OSError as error:
        screen.show(text.notice(f"cannot write the document: {error.strerror}"))
        return 1
    finally:
        screen.close()
    return 0


def explained(finding: Finding) -> Finding:
    """With the words that rules find for its evidence today."""
    from linnix_ls.core.explanations import explain

    return replace(finding, explanation=explain(finding))


def unexplained(finding: Finding) -> Finding:
    return replace(finding, explanation=None)
