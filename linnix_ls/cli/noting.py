"""A model's notes in the terminal: the options that choose one, and asking it, with progress.

Shared by `run` and `explain`. Not here: what a model is told and may say (`linnix_ls.explain`).
"""

from __future__ import annotations

import argparse
import contextlib
import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from linnix_ls.errors import LinnixError, UsageError

if TYPE_CHECKING:
    from linnix_ls.cli.screen import Screen
    from linnix_ls.config import ExplainSettings
    from linnix_ls.core.findings import Finding
    from linnix_ls.explain.base import Writer

SOURCES = ("auto", "none", "rules", "llama", "openai")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--explain",
        choices=SOURCES,
        default="auto",
        help="who explains findings: rules always do, llama and openai add a note by a model on "
        "this machine or at an endpoint (default: llama if `linnix-ls model use` chose a model "
        "and this is a terminal, else rules)",
    )
    parser.add_argument(
        "--model", metavar="NAME", help="an installed model or a GGUF; of an endpoint: its name"
    )
    parser.add_argument(
        "--endpoint", metavar="URL", help="of an OpenAI-compatible server, with its /v1"
    )
    parser.add_argument(
        "--key-env",
        metavar="VARIABLE",
        default="OPENAI_API_KEY",
        help="the environment variable with the endpoint's key (default: OPENAI_API_KEY)",
    )
    parser.add_argument(
        "--key-keyring", metavar="SERVICE", help="take the key from the keyring, if it is there"
    )
    parser.add_argument(
        "--deadline",
        metavar="SECONDS",
        type=float,
        default=90.0,
        help="give up a note that takes longer (default: 90)",
    )


def settings_of(args: argparse.Namespace) -> ExplainSettings:
    """What the options say.

    Raises:
        UsageError: they do not fit together.
    """
    from pydantic import ValidationError

    from linnix_ls.config import EndpointSettings, ExplainSettings

    is_endpoint = args.explain == "openai"
    if is_endpoint and not (args.endpoint and args.model):
        raise UsageError(
            "--explain openai needs to know which endpoint and which model",
            fix="--endpoint http://127.0.0.1:8080/v1 --model NAME",
        )
    if args.endpoint and not is_endpoint:
        raise UsageError("--endpoint is for --explain openai", fix="--explain openai")
    try:
        return ExplainSettings(
            source=args.explain,
            model=None if is_endpoint else args.model,
            when="asked",
            deadline_s=args.deadline,
            endpoint=EndpointSettings(
                url=args.endpoint,
                model=args.model if is_endpoint else None,
                key_env=args.key_env,
                key_keyring=args.key_keyring,
            ),
        )
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        raise UsageError(f"--{detail['loc'][-1]}: {detail['msg']}".replace("_s:", ":")) from None


async def with_notes(
    findings: Sequence[Finding], settings: ExplainSettings, screen: Screen, cwd: str
) -> Sequence[Finding]:
    """The findings, with a note where a model wrote one that could be shown; each is shown, and
    what goes wrong is told.

    Ctrl-C ends it: the findings that have no note yet stay as they are.
    """
    import asyncio

    from linnix_ls import app
    from linnix_ls.report import text

    try:
        writer = await asyncio.to_thread(app.note_writer, settings)
    except LinnixError as error:
        screen.show(text.notice(f"no notes by a model: {error.message}", error.fix))
        return findings
    return await _interruptibly(findings, writer, screen, cwd) if writer else findings


async def _interruptibly(
    findings: Sequence[Finding], writer: Writer, screen: Screen, cwd: str
) -> list[Finding]:
    import asyncio

    noted = {finding.id: finding for finding in findings}
    task = asyncio.create_task(_write_notes(noted, writer, screen, cwd))
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        screen.progress("")
        current = asyncio.current_task()
        if current and current.cancelling():
            raise  # it was not Ctrl-C
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
    return list(noted.values())


def _show_progress(screen: Screen, waiting: str, said: str) -> None:
    screen.progress(f"{waiting}: {len(said.split())} words")


async def _write_notes(noted: dict[str, Finding], writer: Writer, screen: Screen, cwd: str) -> None:
    import asyncio

    from linnix_ls.core.findings import Severity
    from linnix_ls.explain.base import NoAnswer, NoteRefused
    from linnix_ls.explain.excerpt import text_on_disk
    from linnix_ls.explain.notes import ModelNotes
    from linnix_ls.report import text

    notes = ModelNotes(writer, text_on_disk, on_note=lambda _: None, when="asked")
    try:
        for finding in list(noted.values()):
            words = finding.explanation
            if words is None or finding.severity.rank > Severity.WARNING.rank:
                continue
            waiting = f"linnix: a model reads {finding.id} (Ctrl-C to go without)"
            screen.progress(f"{waiting} …")
            try:
                note = await notes.ask(finding, partial(_show_progress, screen, waiting))
            except NoteRefused as error:
                screen.progress("")
                screen.show(text.notice(f"{finding.id}: {error.message}"))
            except NoAnswer as error:
                screen.progress("")
                screen.show(text.notice(f"no notes by a model: {error.message}", error.fix))
                return
            else:
                screen.progress("")
                noted[finding.id] = replace(finding, explanation=replace(words, note=note))
                screen.show(text.note_block(finding, note, cwd=cwd))
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await notes.close()
