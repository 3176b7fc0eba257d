"""Writes docs/benchmarks.md from results: `python -m bench.publish LATENCY.json ACCURACY.json`.

Without arguments, from the newest of each in bench/results.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench import accuracy, latency, machine

PAGE = Path(__file__).parents[1] / "docs/benchmarks.md"


def page(latency_result: dict[str, object], accuracy_result: dict[str, object]) -> str:
    """Both results, a heading deeper than on their own pages."""
    parts = [latency.markdown(latency_result), accuracy.markdown(accuracy_result)]
    return (
        "# Benchmarks\n\n"
        "Written by `make bench` and `python -m bench.publish`, which do it again anywhere.\n\n"
        + "\n".join(part.replace("# ", "## ", 1) for part in parts).rstrip()
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.publish", description=__doc__.split("\n")[0])
    for kind in ("latency", "accuracy"):
        newest = max(machine.RESULTS.glob(f"{kind}-*.json"), default=None)
        parser.add_argument(kind, nargs="?", type=Path, default=newest)
    options = parser.parse_args()
    if options.latency is None or options.accuracy is None:
        parser.error("there are no results yet: make bench")
    results = [json.loads(path.read_text()) for path in (options.latency, options.accuracy)]
    PAGE.write_text(page(*results))
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
