"""Writes docs/thresholds.md from core/policy.py: ``python -m linnix_ls.generate_thresholds``.

Names, defaults and reasons are taken from the dataclasses and their docstrings, ranges and units
follow from the names. A test compares the committed file with a fresh one.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from linnix_ls.core.findings import Kind
from linnix_ls.core.policy import Policy
from linnix_ls.thresholds import GROUPS, MAX_EXAMINATIONS, MAX_S, MIN_S

PAGE = Path(__file__).parents[1] / "docs" / "thresholds.md"

# Of which kinds of finding the groups are; a loop that keeps what it makes is about memory.
KINDS = {
    "spin": (Kind.CPU_SPIN, Kind.MEMORY_RUNAWAY),
    "memory": (Kind.MEMORY_RUNAWAY,),
    "storm": (Kind.FORK_STORM,),
    "stuck": (Kind.STUCK,),
    "leak": (Kind.LEAKED_CHILD,),
}

_PER = {
    "s": "a second",
    "cpu_s": "a second of CPU",
    "cpu": "for each CPU",
    "path": "for each path",
}

_HEAD = f"""\
<!-- Generated from linnix_ls/core/policy.py by `make generate`. Do not edit. -->

# Thresholds and their reasons

Every number that decides whether something is suspected or reported, with its default and why it is that. The defaults were chosen by what programs that run away and programs that are only busy show, and not to suit a single one ([how often they are right](benchmarks.md)). You rarely need to change one: to hear less of a kind, or nothing about some files, [severities and globs](lsp.md#settings) are the better way.

## How to change one

In an editor, with the setting `linnix.thresholds`: any part of this object, what is not named keeps its default. It counts at once, for this editor alone; what was found before stays.

```json
{{"linnix.thresholds": {{"spin": {{"suspicion_cores": 0.9}}, "stuck": {{"idle_s": 20}}, "calm_s": 5}}}}
```

On the command line, as often as needed:

```sh
linnix-ls run --threshold spin.suspicion_cores=0.9 --threshold calm_s=5 -- pytest -q
linnix-ls replay --threshold stuck.idle_s=20 case.trace
linnix-ls run --threshold 'spin.look_again_s=[0.5, 2]' -- pytest -q    # a list
```

A replay judges what was recorded: with a threshold that suspects more than live did, some suspects were not looked at then, and cannot be now.

Counts and rates are more than 0, counts whole, shares between 0 and 1, times between {MIN_S:g} s (how often we look around) and {MAX_S:g} s (how long we remember), and `max_examinations` is at most {MAX_EXAMINATIONS}, because an agent serves others too. What is wrong is named, with what was probably meant, and its default is used; on the command line it is an error.

## What scales with the machine

*Load* is the number of tasks that run or wait for a CPU, for each CPU of the machine, on average over the time in question; 1 where there are CPUs enough. Of a loaded machine everybody gets less, and a process that is starved is neither calm nor stuck nor without progress. So, at a load of *n*,

- a process is suspected from an *n*th of `spin.suspicion_cores` on, calm below an *n*th of `calm_cores`, and works while others wait from an *n*th of `stuck.busy_cores` on;
- fewer system calls, faults and bytes count as progress or growth: an *n*th of `spin.max_quiet_syscalls_per_s`, `spin.max_quiet_productive_calls_per_s`, `spin.max_quiet_faults_per_s`, `spin.max_productive_calls_per_s` and `memory.growth_bytes_per_s`;
- a compiler gets *n* times `spin.compile_s`, and what a run leaves behind *n* times `leak.grace_s`, but at most `leak.max_grace_s`;
- `spin.min_runnable_cores` counts the time for which a process waits for a CPU as well, and what has `per_cpu_s` in its name is for each second of CPU that a process got: they are the same at any load;
- `storm.busy_copies_per_cpu` and `storm.busy_nested_copies_per_cpu` are for each CPU of the machine;
- `stuck.idle_s` stays what it is, because only a thread that sleeps in a system call counts as waiting, never one that wants a CPU and gets none, is suspended, or is frozen.

Nothing else scales: shares and counts of what was seen in a look mean the same at any load, and the pace of a storm is what makes it one.
"""  # noqa: E501 - a paragraph is a line of Markdown


def page() -> str:
    """The text of docs/thresholds.md.

    Raises:
        ValueError: a threshold has no reason.
    """
    parts = [_HEAD]
    for name, defaults in GROUPS.items():
        kinds = " and ".join(f"[{kind}](findings/{kind}.md)" for kind in KINDS[name])
        parts.append(f"## {name}\n\nOf {kinds}. {_summary(type(defaults))}\n\n{_table(name)}")
    parts.append(f"## All kinds\n\n{_table('')}")
    return "\n".join(parts)


def unit(name: str) -> str:
    """What a threshold counts in, by the end of its name; empty for plain counts and shares."""
    if rate := re.search(r"([a-z]+)_per_(cpu_s|s|cpu|path)$", name):
        return f"{rate[1]} {_PER[rate[2]]}"
    ending = name.rpartition("_")[2]
    return ending if ending in ("s", "cores", "bytes") else ""


def reasons(policy: type) -> dict[str, str]:
    """From "name, name: reason" in the docstring, by name."""
    _, _, listed = inspect.cleandoc(policy.__doc__ or "").partition("\nAttributes:\n")
    found: dict[str, str] = {}
    for names, reason in re.findall(
        r"^    (\w+(?:,\s+\w+)*): (.*(?:\n {5,}.*)*)", listed, re.MULTILINE
    ):
        words = " ".join(reason.split())
        found |= dict.fromkeys(re.split(r",\s+", names), words[0].upper() + words[1:])
    return found


def _summary(policy: type) -> str:
    return inspect.cleandoc(policy.__doc__ or "").partition("\n\n")[0].replace("\n", " ")


def _table(group: str) -> str:
    defaults: Any = GROUPS[group] if group else Policy()
    why = reasons(type(defaults))
    rows = ["| threshold | default | why |", "|---|---|---|"]
    # Those that share a reason share a row.
    shared: dict[str, list[str]] = {}
    for field in fields(defaults):
        if field.name in GROUPS and not group:
            continue
        if field.name not in why:
            raise ValueError(f"{field.name} has no reason in {type(defaults).__name__}")
        shared.setdefault(why[field.name], []).append(field.name)
    for reason, names in shared.items():
        qualified = "<br>".join(f"`{group}.{name}`" if group else f"`{name}`" for name in names)
        values = "<br>".join(_with_unit(name, getattr(defaults, name)) for name in names)
        rows.append(f"| {qualified} | {values} | {reason} |")
    return "\n".join(rows) + "\n"


def _with_unit(name: str, value: Any) -> str:
    values = value if isinstance(value, tuple) else (value,)
    return f"{', '.join(f'{each:,.12g}' for each in values)} {unit(name)}".strip()


if __name__ == "__main__":
    PAGE.write_text(page())
