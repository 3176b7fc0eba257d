"""The soak in words, and as a plot of memory over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import machine, plots
from bench.soak.verdict import COUNTED, CPU_TOLERANCE, MEMORY_TOLERANCE, growth, of_role

SCHEMA = "linnix-soak/1"


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    rests = result["rests"]
    rows = []
    for role in rests[0]["roles"]:
        first, last = rests[0]["roles"][role], rests[-1]["roles"].get(role, {})
        grown = growth(of_role(rests, role, "heap_bytes"))
        rows.append(
            [
                role,
                *(f"{each.get('rss_bytes', 0) / 1e6:.0f} MB" for each in (first, last)),
                *(f"{each.get('heap_bytes', 0) / 1e6:.1f} MB" for each in (first, last)),
                f"{grown:+.1%}",
                *(f"{first[what]} / {last.get(what)}" for what in COUNTED),
            ]
        )
    head = ["process", "RSS first", "RSS last", "heap first", "heap last", "trend of heap"]
    head += [what.removeprefix("n_") for what in COUNTED]
    costs = result["cpu_us_per_process"]
    cost = growth([(float(n), each) for n, each in enumerate(costs)])
    not_flat = result["not_flat"]
    verdict = "**Flat, and nothing was left behind**" if not not_flat else "**Not flat**"
    return (
        "# An hour of mixed load\n\n"
        f"linnix-ls {result['tool']['version']}, {result['measured_at']}: {result['n_cpus']} CPUs,"
        f" kernel {result['kernel']}, load before {result['load']}; {rests[-1]['at_s'] / 60:.0f}"
        f" minutes, {result['n_rounds']} rounds, seed {result['seed']}. One agent serves all of it;"
        " after each round, with nothing running, is counted what the processes that stay hold:"
        f" at the first rest / at the last. {verdict}: no count may be higher in the"
        f" end; the trend over the second half (Theil-Sen) may be {MEMORY_TOLERANCE:.0%} of memory"
        f" and {CPU_TOLERANCE:.0%} of the CPU time per process of a storm"
        f" ({costs[len(costs) // 2] if costs else 0:.0f} us of the agent's, trend {cost:+.1%}).\n\n"
        + machine.table(head, rows)
        + "".join(f"\n- {sentence}" for sentence in not_flat)
        + ("\n" if not_flat else "")
        + "\n"
        + machine.table(["done", "times"], [[what, f"{n:,}"] for what, n in result["done"].items()])
    )


def plot(result: dict[str, Any], path: Path) -> Path:
    """Memory of those that stay, whatever runs; and at rest."""
    series: dict[str, list[tuple[float, float]]] = {}
    for name, looks in ("", result["looks"]), (", at rest", result["rests"]):
        for role in result["rests"][0]["roles"]:
            series[role + name] = [
                (at_s / 60, n_bytes / 1e6) for at_s, n_bytes in of_role(looks, role, "pss_bytes")
            ]
    return plots.lines(path, "Memory under mixed load", "minutes", "PSS, MB", series)
