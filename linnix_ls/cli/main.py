"""The console script: reads the command line, turns errors into text and exit codes.

Nothing heavy is imported before the subcommand is known, and nothing is printed: without a
subcommand stdout belongs to a protocol, and under `run` it belongs to CMD. Each subcommand is a
module with `register(subparsers)` and `run(args)`, and imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Sequence

from linnix_ls import __version__
from linnix_ls.errors import LinnixError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Exits at once for `--help`, `--version`, wrong options."""
    words = list(sys.argv[1:] if argv is None else argv)
    # What comes after the first -- is CMD's, whatever it looks like: argparse never sees it.
    before = words[: words.index("--")] if "--" in words else words
    args = _parser(before[0] if before else None).parse_args(before)
    if len(before) < len(words):
        args.command = [*getattr(args, "command", ()), *words[len(before) + 1 :]]
    try:
        exit_code: int = args.run(args)
    except LinnixError as error:
        _tell(error)
        exit_code = error.exit_code
    except KeyboardInterrupt:
        exit_code = 128 + signal.SIGINT
    return exit_code


_SUBCOMMANDS = ("run", "replay", "explain", "model", "playground", "doctor", "agent")


def _parser(first_word: str | None = None) -> argparse.ArgumentParser:
    """Of a subcommand that is named only that one is imported."""
    named = [first_word] if first_word in _SUBCOMMANDS else _SUBCOMMANDS
    parser = argparse.ArgumentParser(
        prog="linnix-ls",
        description="A language server with eBPF eyes: finds the line behind a runaway process "
        "of your tests and builds. Without a subcommand it speaks LSP on stdio.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--stdio", action="store_true", help="speak LSP on stdio (default)")
    transport.add_argument("--tcp", metavar="HOST:PORT", help="speak LSP on a TCP port")
    parser.set_defaults(run=_serve)
    subparsers = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND")
    for name in named:
        importlib.import_module(f"linnix_ls.cli.{name}").register(subparsers)
    return parser


def _serve(args: argparse.Namespace) -> int:
    from linnix_ls.cli.serve import serve

    return serve(args)


def _tell(error: LinnixError) -> None:
    text = f"linnix-ls: {error.message}\n"
    if error.fix:
        text += f"  fix: {error.fix}\n"
    # By the fd: sys.stderr may be closed, or somebody else's. Nobody may be reading either.
    with contextlib.suppress(OSError):
        os.write(2, text.encode("utf-8", "backslashreplace"))


if __name__ == "__main__":
    sys.exit(main())
