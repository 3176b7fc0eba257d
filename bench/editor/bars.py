"""What the language server costs an editor, beside what is allowed.

    python -m bench.editor [--rounds N] [--events N] [--out DIR]

Four things: how long an editor waits for it to start (`start`), how long a finding takes from the
detector to the editor and how fast questions are answered during a fork storm (`answers`), and its
memory over a million events (`memory`).
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench import machine
from bench.editor import answers, memory, start

SCHEMA = "linnix-editor/1"

TARGET_START_S = 0.6
TARGET_ARRIVED_S = 0.5
TARGET_P95_MS = 10.0
TARGET_RSS_MB = 80.0


def measure(n_rounds: int, n_asked: int, n_events: int) -> dict[str, Any]:
    """All of it, as plain JSON."""
    about = machine.describe()
    started = {name: _figures(times) for name, times in start.measure(2 * n_rounds).items()}
    told = asyncio.run(answers.measure(n_rounds, n_asked))
    return {
        "schema": SCHEMA,
        **about,
        "tracer": told["tracer"],
        "degraded": told["degraded"],
        "start_s": started,
        "arrived_s": _figures(told["arrived_s"]),
        "answers_ms": {
            when: {name: _figures(times) for name, times in kinds.items()}
            for when, kinds in told["answers_ms"].items()
        },
        "memory": asyncio.run(memory.measure(n_events)),
    }


def _figures(times: Sequence[float]) -> dict[str, float]:
    return {
        "n": len(times),
        "min": min(times),
        "median": median(times),
        "p95": quantiles(times, n=20, method="inclusive")[-1],
        "max": max(times),
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    started = result["start_s"]
    ratio = started["linnix-ls"]["median"] / started["pygls alone"]["median"]
    rows = [
        *(_row(f"start to `initialize` answered: {name}", figures, "s", TARGET_START_S)
          for name, figures in started.items()),
        _row("flagged to diagnostic", result["arrived_s"], "s", TARGET_ARRIVED_S, "median"),
        *(_row(f"{name}, {when}", figures, "ms", TARGET_P95_MS, "p95")
          for when, kinds in result["answers_ms"].items() for name, figures in kinds.items()),
    ]  # fmt: skip
    points = result["memory"]["points"]
    head = [f"after {point['events']:,} events" if point["events"] else "start" for point in points]
    return (
        "# What the server costs an editor\n\n"
        f"linnix-ls {result['tool']['version']}, tracer {result['tracer']},"
        f" {result['measured_at']}: {result['n_cpus']} CPUs, kernel {result['kernel']},"
        f" Python {result['python']}, load before {result['load']}. Starts by turns with a server"
        f" that does nothing ({ratio:.2f} times its median). The storm starts processes one after"
        " another as fast as it can.\n\n"
        + machine.table(["what", "n", "median", "p95", "max", "at most"], rows)
        + "\nResident memory of the server's process, while the recorded corpus is played to it"
        f" through an agent's socket, over and over, and an editor asks for all that it shows"
        f" (at most {TARGET_RSS_MB:.0f} MB):\n\n"
        + machine.table(head, [[f"{point['rss_bytes'] / 1e6:.1f} MB" for point in points]])
    )


def _row(
    what: str, figures: dict[str, float], unit: str, target: float, of: str = "median"
) -> list[str]:
    values = [f"{figures[name]:.3g} {unit}" for name in ("median", "p95", "max")]
    return [what, str(figures["n"]), *values, f"{target:g} {unit} ({of})"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.editor", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    parser.add_argument("--asked", type=int, default=300, metavar="N")
    parser.add_argument("--events", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    result = measure(options.rounds, options.asked, options.events)
    page = markdown(result)
    print("\n" + page)
    machine.save("editor", result, page, options.out)


if __name__ == "__main__":
    main()
