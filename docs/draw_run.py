"""Draws docs/run.svg: `make pictures`. Records the sample project's run, and replays it, which
shows the same findings without pytest's own output between them."""

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples/parcels"
BIN = Path(sys.prefix, "bin")
COLUMNS = 124


def output_on_a_terminal(command: list[str]) -> str:
    """What a program writes to a terminal, colours included."""
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    with subprocess.Popen(command, cwd=SAMPLE, stdout=slave, stderr=slave, env=environment):
        os.close(slave)
        chunks = []
        while True:
            try:
                chunks.append(os.read(master, 65536))
            except OSError:  # EIO: the other end is closed
                break
    os.close(master)
    return b"".join(chunks).decode().replace("\r\n", "\n")


def main() -> None:
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    with tempfile.TemporaryDirectory() as scratch:
        trace = Path(scratch, "run.trace")
        subprocess.run(
            ["linnix-ls", "run", "--record", trace, "--", "pytest", "-p", "no:cacheprovider"],
            cwd=SAMPLE,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,  # two tests fail, and that is the point
        )
        shown = output_on_a_terminal([str(BIN / "linnix-ls"), "replay", str(trace)])
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text("$ linnix-ls run -- pytest", style="bold"))
    console.print(Text.from_ansi(shown))
    svg = console.export_svg(title="examples/parcels")
    # No fonts from elsewhere: whoever looks at this page asks no third party.
    svg = re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)
    (ROOT / "docs/run.svg").write_text(svg)


if __name__ == "__main__":
    main()
