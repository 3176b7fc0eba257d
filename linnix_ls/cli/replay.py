"""`linnix-ls replay FILE.trace`: the engine on what `run --record` recorded, shown as `run` would.

Needs no privilege and no time. Not here: the file format (`tracer.trace_file`).
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from linnix_ls.cli import output
from linnix_ls.cli.screen import Screen

if TYPE_CHECKING:
    from linnix_ls.core.policy import Policy
    from linnix_ls.report.document import RunFacts
    from linnix_ls.tracer.trace_file import Trace


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "replay",
        help="show again what was recorded",
        description="Show the findings of a run that `linnix-ls run --record FILE` recorded.",
        allow_abbrev=False,
    )
    output.add_options(parser)
    parser.add_argument("trace", metavar="FILE.trace", type=Path)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0, or 1 where a document could not be written.

    Raises:
        UsageError: an option makes no sense.
        TraceFileError: it is no trace, or nothing in it is whole.
    """
    policy = output.policy_of(args.threshold)
    return asyncio.run(_replay(args, output.Outputs(args), policy))


async def _replay(args: argparse.Namespace, outputs: output.Outputs, policy: Policy) -> int:
    from linnix_ls import app
    from linnix_ls.report import text

    feed, trace = await app.replay_feed(args.trace, policy=policy)
    snapshot = feed.snapshot()
    await feed.close()
    facts = _facts(trace)
    findings = [f for f in snapshot.findings if output.is_grave_enough(f, args.min_severity)]
    # Of the tracer that saw it, and of the recording.
    degraded = "; ".join(filter(None, (trace.header.degraded, snapshot.status.degraded)))
    tracer = trace.header.tracer or None
    status = replace(snapshot.status, tracer=tracer, degraded=degraded or None)
    screen = Screen()
    try:
        if degraded:
            screen.show(text.notice(f"degraded: {degraded}"))
        for finding in findings:
            block = text.finding_block(finding, cwd=facts.cwd, started_ns=facts.started_ns)
            screen.show(block)
        return int(not output.report(screen, outputs, facts, status, findings))
    finally:
        screen.close()


def _facts(trace: Trace) -> RunFacts:
    from linnix_ls.core.events import Exited, Watched
    from linnix_ls.core.ids import NS_PER_S
    from linnix_ls.report.document import RunFacts

    header = trace.header
    run = next((e.key for e in trace.events if isinstance(e, Watched) and e.is_run), None)
    ends_ns = [e.ktime_ns for e in trace.events if isinstance(e, Exited) and e.key == run]
    last_ns = trace.events[-1].ktime_ns if trace.events else header.started_ns
    return RunFacts(
        command=header.command,
        cwd=header.cwd,
        exit_code=trace.exit_code,
        started_at=datetime.fromisoformat(header.started_at),
        started_ns=header.started_ns,
        duration_s=max(0, min([last_ns, *ends_ns]) - header.started_ns) / NS_PER_S,
    )
