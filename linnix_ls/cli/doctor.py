"""`linnix-ls doctor`: what works on this machine, what does not, why, and what would fix it.

Not here: the checks (`diagnosis`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from linnix_ls.cli.screen import render, wants_colour, write_all

if TYPE_CHECKING:
    from rich.text import Text

    from linnix_ls.diagnosis import Check

SCHEMA = "linnix-doctor/1"
DEGRADED = 1


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "doctor",
        help="say what works on this machine, and how to fix what does not",
        description="Try what linnix-ls needs. Exit code 0 if nothing is degraded, else 1.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when nothing is degraded."""
    from linnix_ls.config import Settings
    from linnix_ls.diagnosis import diagnose

    checks = asyncio.run(diagnose(Settings()))
    if args.json:
        content = to_json(checks)
    else:
        has_colour = wants_colour(is_terminal=os.isatty(1))
        content = render(to_text(checks), has_colour=has_colour)
    write_all(1, content.encode())
    return DEGRADED if is_degraded(checks) else 0


def is_degraded(checks: Sequence[Check]) -> bool:
    return any(check.is_required and not check.is_ok for check in checks)


def to_json(checks: Sequence[Check]) -> str:
    report = {
        "schema": SCHEMA,
        "is_degraded": is_degraded(checks),
        "checks": [asdict(check) for check in checks],
    }
    return json.dumps(report, indent=2) + "\n"


def to_text(checks: Sequence[Check]) -> Text:
    """A line a check, and below it the fix of what is amiss."""
    from rich.text import Text

    from linnix_ls.core.text import visible

    width = max(len(check.name) for check in checks)
    text = Text()
    for check in checks:
        if check.is_ok:
            text.append("✔ ", "bold green")
        elif check.is_required:
            text.append("✘ ", "bold red")
        else:
            text.append("○ ", "bold yellow")
        text.append(f"{check.name:<{width}}  ", "bold")
        text.append(visible(check.detail) + "\n")
        if not check.is_ok and check.fix:
            text.append(f"  {'':<{width}}  fix: {visible(check.fix)}\n", "cyan")
    n_amiss = sum(check.is_required and not check.is_ok for check in checks)
    text.append(f"\ndegraded: {n_amiss} of {len(checks)} checks failed\n" if n_amiss else "")
    text.append("" if n_amiss else "\nnothing is degraded\n")
    return text
