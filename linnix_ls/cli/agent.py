"""`linnix-ls agent`: the privileged part. Loads the probes and serves clients on a socket.

With `--install` it puts that part on the machine as a service, after it has said how and asked.
Not here: what is done then (`installation`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnix_ls.cli.heap import give_back_memory

if TYPE_CHECKING:
    from linnix_ls.installation import Plan

DECLINED = 1


def register(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "agent",
        help="the privileged part: loads the eBPF probes and serves clients on a socket",
        description="The privileged part: loads the eBPF probes and serves clients on a socket."
        " With --install, a service of this machine that systemd starts when somebody needs it.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--socket",
        type=Path,
        metavar="PATH",
        help="where to listen (default: /run/linnix-ls/agent.sock, of a user: in"
        " $XDG_RUNTIME_DIR/linnix-ls); one that a service manager passes comes first",
    )
    parser.add_argument(
        "--exit-when-idle",
        nargs="?",
        type=_seconds,
        const=0.0,
        metavar="SECONDS",
        help="end when there has been no client for that long (default: at once)",
    )
    # Of whoever starts one for itself:
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--remove-folder", action="store_true", help=argparse.SUPPRESS)
    change = parser.add_argument_group("as a service")
    which = change.add_mutually_exclusive_group()
    which.add_argument(
        "--install",
        action="store_true",
        help="say what would be done to have the agent as a service, ask, and do it (as root)",
    )
    which.add_argument("--uninstall", action="store_true", help="the same, to undo all of it")
    change.add_argument(
        "--user", metavar="NAME", help="who may use it, too (default: who has called sudo)"
    )
    change.add_argument("--yes", action="store_true", help="do not ask")
    change.add_argument("--dry-run", action="store_true", help="say it, and do nothing")
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes; or change what is installed."""
    if args.install or args.uninstall:
        return _change(args)
    from linnix_ls.app import run_agent

    give_back_memory()

    def tell() -> None:
        if sys.stderr.isatty():  # somebody has started it by hand, and waits for a word
            print("linnix-ls: serving, until Ctrl-C", file=sys.stderr)

    asyncio.run(
        run_agent(
            args.socket,
            exit_when_idle_s=args.exit_when_idle,
            ready_fd=args.ready_fd,
            removes_folder=args.remove_folder,
            on_ready=tell,
        )
    )
    return 0


def _change(args: argparse.Namespace) -> int:
    from linnix_ls import installation
    from linnix_ls.errors import LinnixError
    from linnix_ls.invocation import as_root

    if args.install:
        plan = installation.install(args.user, is_only_shown=args.dry_run)
    else:
        plan = installation.uninstall()
    if not plan.steps:
        print(plan.summary)
        return 0
    print(_words(plan))
    if args.dry_run:
        return 0
    if os.geteuid() != 0:
        words = [word for word in sys.argv[1:] if word != "agent"]
        raise LinnixError("this needs root; nothing was done", fix=as_root("agent", *words))
    if not (args.yes or _agrees()):
        print("Nothing was done.")
        return DECLINED
    for number, step in enumerate(plan.steps, 1):
        print(f"  {step.words} …", flush=True)
        try:
            step.do()
        except (LinnixError, OSError, subprocess.SubprocessError, KeyboardInterrupt) as error:
            print(_half_way(args, plan, number), file=sys.stderr)
            if isinstance(error, KeyboardInterrupt | LinnixError):
                raise
            raise LinnixError(f"{step.words}: {error}") from error
    print("\n".join(["Done.", *plan.afterwards]))
    return 0


def _half_way(args: argparse.Namespace, plan: Plan, failed: int) -> str:
    """What is done, and what can be done now. A plan is made of what is missing, so the same
    command goes on from here."""
    from linnix_ls.core.text import visible
    from linnix_ls.invocation import as_root

    done = [step.words for step in plan.steps[: failed - 1]]
    lines = [f"It stopped at step {failed} of {len(plan.steps)}. What was done before stays:"]
    lines += [f"  {number}. {words}" for number, words in enumerate(done, 1)] or ["  nothing"]
    what = "--install" if args.install else "--uninstall"
    user = ("--user", args.user) if args.install and args.user else ()
    lines.append(f"To go on, when the cause is gone: {as_root('agent', what, *user)}")
    if args.install:
        lines.append(f"To undo it: {as_root('agent', '--uninstall')}")
    return "\n".join(map(visible, lines))


def _words(plan: Plan) -> str:
    from linnix_ls.core.text import visible

    steps = [f"  {number}. {step.words}" for number, step in enumerate(plan.steps, 1)]
    text = "\n".join([plan.summary, "", *plan.warnings, "It will:", *steps, ""])
    # A folder may be called anything, and this is root's terminal.
    return "\n".join(map(visible, text.split("\n")))


def _agrees() -> bool:
    """The default is no, and so is the end of the input."""
    from linnix_ls.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on; nothing was done", fix="add --yes")
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False
