"""`linnix-ls agent`: the privileged part. Loads the probes and serves clients on a socket."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any


def register(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "agent",
        help="the privileged part: loads the eBPF probes and serves clients on a socket",
    )
    parser.add_argument(
        "--socket",
        type=Path,
        metavar="PATH",
        help="where to listen (default: /run/linnix-ls/agent.sock, of a user: in"
        " $XDG_RUNTIME_DIR/linnix-ls)",
    )
    parser.add_argument(
        "--exit-when-idle", action="store_true", help="end when the last client has gone"
    )
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from linnix_ls.app import run_agent

    asyncio.run(run_agent(args.socket, exit_when_idle=args.exit_when_idle, ready_fd=args.ready_fd))
    return 0
