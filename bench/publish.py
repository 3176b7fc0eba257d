"""Writes docs/benchmarks.md from results: `python -m bench.publish [RESULT.json ...]`.

Without arguments, from the newest whole one of each in bench/results: latency, accuracy on each
corpus, by eBPF and degraded, innocents, what the server costs an editor, explanations, what
models cost, checks of probes, what playing with probes leaves behind, what watching costs the work
that is watched and by itself, whether every process is seen, what an event costs against what is
known, how long a start takes, and the soak.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import (
    accuracy,
    capture,
    cost,
    growth,
    heard,
    innocents,
    latency,
    machine,
    playground,
    playing,
    start,
)
from bench.editor import bars
from bench.explain import hover, neighbour, quality
from bench.overhead import page as overhead
from bench.soak import page as soak

PAGE = Path(__file__).parents[1] / "docs/benchmarks.md"
PICTURES = PAGE.parent / "pictures/bench"

# In the order of the page.
MARKDOWN: dict[str, Callable[[Any], str]] = {
    latency.SCHEMA: latency.markdown,
    bars.SCHEMA: bars.markdown,
    accuracy.SCHEMA: accuracy.markdown,
    innocents.SCHEMA: innocents.markdown,
    quality.SCHEMA: quality.markdown,
    hover.SCHEMA: hover.markdown,
    neighbour.SCHEMA: neighbour.markdown,
    playground.SCHEMA: playground.markdown,
    playing.SCHEMA: playing.markdown,
    overhead.SCHEMA: overhead.markdown,
    start.SCHEMA: start.markdown,
    cost.SCHEMA: cost.markdown,
    capture.SCHEMA: capture.markdown,
    heard.SCHEMA: heard.markdown,
    growth.SCHEMA: growth.markdown,
    soak.SCHEMA: soak.markdown,
}

# Of those that have one. Drawn again from the result, so that its JSON is all that need be kept.
PLOTS: dict[str, Callable[[Any, Path], Path]] = {
    latency.SCHEMA: latency.plot,
    overhead.SCHEMA: overhead.plot,
    start.SCHEMA: start.plot,
    cost.SCHEMA: cost.plot,
    capture.SCHEMA: capture.plot,
    heard.SCHEMA: heard.plot,
    growth.SCHEMA: growth.plot,
    soak.SCHEMA: soak.plot,
}


def page(results: Iterable[Mapping[str, Any]], pictures: Path = PICTURES, before: str = "") -> str:
    """All results, a heading deeper than on their own pages, with their plots. What the page held
    `before` and was not measured again stays where it is."""
    parts = [
        MARKDOWN[result["schema"]](result).rstrip() + "\n" + _picture(result, pictures)
        for result in sorted(results, key=_order)
    ]
    sections = {_heading(part): part for part in _sections(before)}
    sections |= {_heading(part): part for part in parts}
    return (
        "# Benchmarks\n\n"
        "Written by `make bench` and `python -m bench.publish`, which do it again anywhere.\n\n"
        + "\n".join(part.replace("# ", "## ", 1) for part in sections.values())
    )


def _sections(text: str) -> list[str]:
    """Of a page, as they were before they went a heading deeper."""
    return [f"# {section.rstrip()}\n" for section in text.split("\n## ")[1:]]


def _heading(section: str) -> str:
    return section.partition("\n")[0]


def _picture(result: Mapping[str, Any], pictures: Path) -> str:
    draw = PLOTS.get(result["schema"])
    if draw is None:
        return ""
    name = result["schema"].removeprefix("linnix-").replace("/", "-")
    return machine.picture(os.path.relpath(draw(result, pictures / name), PAGE.parent))


def _order(result: Mapping[str, Any]) -> tuple[int, bool, bool]:
    """Our own corpus before another, and degraded last."""
    place = list(MARKDOWN).index(result["schema"])
    if result["schema"] != accuracy.SCHEMA:
        return (place, False, False)
    is_ours = result["options"]["corpora"] == [str(accuracy.CORPUS)]
    return (place, result["tracers"] == ["psutil"], not is_ours)


def newest(results: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of each thing measured, the last result that is whole."""
    by_title: dict[str, Mapping[str, Any]] = {}
    for result in sorted(results, key=lambda result: result["measured_at"]):
        if _is_whole(result):
            by_title[_title(result)] = result
    return list(by_title.values())


def _title(result: Mapping[str, Any]) -> str:
    is_accuracy = result["schema"] == accuracy.SCHEMA
    return accuracy.title(result) if is_accuracy else result["schema"]


def _is_whole(result: Mapping[str, Any]) -> bool:
    if result["schema"] == accuracy.SCHEMA:
        # What was measured before these were kept is of another time.
        options = result.get("options")
        return options is not None and not options["cases"] and result["is_complete"]
    if result["schema"] == innocents.SCHEMA:
        return {one["name"] for one in result["innocents"]} == innocents.ALL
    if result["schema"] == overhead.SCHEMA:
        return bool(result["is_complete"]) and not result["is_quick"]
    return result["schema"] in MARKDOWN


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.publish", description=__doc__.split("\n")[0])
    parser.add_argument("results", nargs="*", type=Path, metavar="RESULT.json")
    given = parser.parse_args().results
    paths = given or machine.RESULTS.glob("*.json")
    results = [json.loads(path.read_text()) for path in paths]
    if not given:
        results = newest(results)
    if not results:
        parser.error("there are no results yet: make bench")
    PAGE.write_text(page(results, before=PAGE.read_text()))
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
