"""`linnix-ls run [options] -- CMD [ARG…]`: CMD under watch, findings on stderr as they happen.

CMD must not notice: `command` sees to its process, `screen` to the terminal that we share. Here
is the order of things: CMD is forked and held, the feed opened, CMD released; then we wait for
its end, show what is found, and report.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from linnix_ls.cli import noting, output
from linnix_ls.cli.command import Command, keep_standard_fds_free, leave_streams_to_command
from linnix_ls.errors import UsageError

if TYPE_CHECKING:
    import asyncio

    from linnix_ls.cli.screen import Screen
    from linnix_ls.cli.watch import OpenFeed, RunWatch
    from linnix_ls.config import Settings
    from linnix_ls.core.findings import Finding, Kind
    from linnix_ls.feed.base import Feed

FAILED_ON_FINDING = 3

SHOW_PROGRESS_AFTER_S = 0.5
# CMD is not kept waiting longer than this, even if nothing watches it then.
OPEN_TIMEOUT_S = 10.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run a command under watch",
        description="Run a command under watch; show processes that run away, and the line.",
        usage="linnix-ls run [options] -- CMD [ARG ...]",
        allow_abbrev=False,
    )
    output.add_options(parser)
    parser.add_argument("--record", metavar="FILE", help="record what is seen, for `replay`")
    parser.add_argument(
        "--tracer",
        choices=("auto", "bcc", "psutil"),
        default="auto",
        help="bcc: eBPF or nothing; psutil: no privilege, sees less (default: the best there is)",
    )
    parser.add_argument(
        "--agent-socket",
        metavar="PATH",
        help="the agent's socket, if it is not at its usual place",
    )
    noting.add_options(parser)
    parser.add_argument(
        "--fail-on",
        metavar="KIND[,KIND]",
        type=_kinds,
        default=(),
        help=f"exit with {FAILED_ON_FINDING} if such a finding was raised and CMD succeeded",
    )
    parser.add_argument(
        "--stop-runaways", action="store_true", help="stop the processes that run away"
    )
    parser.add_argument(
        "--no-attach-to-jvm",
        dest="attach_to_jvm",
        action="store_false",
        help="do not ask JVMs for their stacks, which starts a thread in them",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, open_feed: OpenFeed | None = None) -> int:
    """CMD's exit code, 128+n after signal n; 3 for `--fail-on`.

    Raises:
        UsageError: an option makes no sense.
        CommandNotRun: there is no such command (127), or it cannot be executed (126).
        TracerUnavailable: with `--tracer bcc`; CMD was not started.
    """
    if not args.command:
        raise UsageError("there is nothing to run", fix="linnix-ls run -- CMD [ARG ...]")
    if args.explain in ("llama", "openai"):
        noting.settings_of(args)
    args.policy = output.policy_of(args.threshold)
    keep_standard_fds_free()
    outputs = output.Outputs(args)
    if args.record:
        output.check_writable(args.record)
    # Before anything else: CMD is a copy of this process as it is now.
    command = Command(args.command)
    try:
        leave_streams_to_command()
        open_feed = open_feed or _opener(args)
        import asyncio  # the first of what takes longer to import

        return asyncio.run(_watch(args, command, outputs, open_feed))
    finally:
        command.close()


def _opener(args: argparse.Namespace) -> OpenFeed:
    """What opens the feed. If that takes an agent of our own, it starts here and now, while we
    import what we need."""
    from linnix_ls import agent_start

    started = None
    if shutil.which(args.command[0]) is not None:
        started = agent_start.start_if_needed(args.agent_socket, args.tracer)

    async def open_feed(settings: Settings, *, on_progress: Callable[[str], None]) -> Feed:
        from linnix_ls import app

        nonlocal started
        begun, started = started, None
        return await app.open_feed(settings, on_progress=on_progress, started=begun)

    return open_feed


async def _watch(
    args: argparse.Namespace, command: Command, outputs: output.Outputs, open_feed: OpenFeed
) -> int:
    ended = command.attend()
    if shutil.which(args.command[0]) is None:
        # Nothing to open a feed for. What is wrong with it, exec itself says.
        command.release()
        return command.exit_code(await ended)
    import asyncio

    from linnix_ls.cli.screen import Screen
    from linnix_ls.cli.watch import RunWatch

    screen = Screen()
    watch = RunWatch(args, screen)
    opening = asyncio.create_task(watch.open(open_feed, command.pid))
    try:
        await _wait_for_feed(watch, opening, ended, screen)
        if ended.done():
            return command.exit_code(ended.result())
        watch.begin()
        command.release()
        import linnix_ls.report.text  # noqa: F401 - takes 0.1 s, for which CMD need not wait

        exit_code = command.exit_code(await ended)
        await watch.end(exit_code)
        facts, status, findings = await watch.result()
        if findings:
            findings = await _with_notes(args, findings, screen, facts.cwd)
        is_written = output.report(screen, outputs, facts, status, findings)
        if exit_code:
            return exit_code
        return FAILED_ON_FINDING if watch.has_found(args.fail_on) else int(not is_written)
    finally:
        opening.cancel()
        await watch.close()
        screen.close()


async def _with_notes(
    args: argparse.Namespace, findings: Sequence[Finding], screen: Screen, cwd: str
) -> Sequence[Finding]:
    """After the run, which a model shall not disturb; nor a pipeline that nobody looks at."""
    if args.explain in ("none", "rules") or (args.explain == "auto" and not os.isatty(2)):
        return findings
    return await noting.with_notes(findings, noting.settings_of(args), screen, cwd)


async def _wait_for_feed(
    watch: RunWatch, opening: asyncio.Task[None], ended: asyncio.Future[int], screen: Screen
) -> None:
    """Until the feed is open, CMD has been killed while it waits, or patience is over.

    Raises:
        TracerUnavailable: with `--tracer bcc`: what was asked for cannot be had.
    """
    import asyncio

    either: set[asyncio.Future[None] | asyncio.Future[int]] = {opening, ended}
    first = asyncio.FIRST_COMPLETED
    await asyncio.wait(either, timeout=SHOW_PROGRESS_AFTER_S, return_when=first)
    if not (opening.done() or ended.done()):
        screen.progress(f"linnix: {watch.progress} …")
        remaining_s = OPEN_TIMEOUT_S - SHOW_PROGRESS_AFTER_S
        await asyncio.wait(either, timeout=remaining_s, return_when=first)
        screen.progress("")
    if opening.done():
        opening.result()


def _kinds(text: str) -> tuple[Kind, ...]:
    from linnix_ls.core.findings import Kind

    try:
        return tuple(Kind(word) for word in text.split(","))
    except ValueError:
        known = ", ".join(Kind)
        raise argparse.ArgumentTypeError(f"{text!r}: the kinds are {known}") from None
