"""What a measurement needs beside the measuring: the machine in words, and a place for results."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil

from linnix_ls import __version__

LINNIX_LS = Path(sys.prefix, "bin", "linnix-ls")
RESULTS = Path(__file__).parent / "results"


def describe() -> dict[str, Any]:
    """The tool and the machine, as plain JSON; `load` is that before the measurement."""
    return {
        "tool": {"name": "linnix-ls", "version": __version__},
        "measured_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "n_cpus": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def save(kind: str, result: dict[str, Any], markdown: str, folder: Path) -> None:
    """Write the result as JSON and as a page into `folder`, and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{kind}-{result['measured_at'].replace(':', '')}"
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / f"{name}.md").write_text(markdown)
    print(f"\nsaved {folder / name}.json and .md")


def venv_with(requirements: Path) -> Path:
    """A virtual environment that has these requirements; made once, kept until they change."""
    name = sha256(requirements.read_bytes()).hexdigest()[:12]
    venv = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "linnix-ls-bench", name)
    done = venv / "done"
    if not done.exists():
        print(f"making {venv} for the cases", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        pip = [str(venv / "bin/pip"), "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(requirements)], check=True)
        done.touch()
    return venv


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, its columns padded so that it reads well in a terminal too."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    first = [cell.ljust(width) for cell, width in zip(head, widths, strict=True)]
    ruler = ["-" * width for width in widths]
    return "\n".join("| " + " | ".join(line) + " |" for line in [first, ruler, *lines]) + "\n"
