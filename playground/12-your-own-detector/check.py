"""Lesson 12: a spinner, a storm and three innocents at once; who is accused, and at what cost."""

import asyncio
import time

from linnix_ls.playground.lessons import Attempt, Outcome

_SPIN, _STORM = 1, 2
_MAX_CPU_SHARE = 0.01


async def check(attempt: Attempt):
    dice = attempt.dice
    roles = [
        ("spin", f"{dice.uniform(0.7, 0.9):.3f}"),
        ("storm", dice.randint(130, 190)),
        ("worker",),
        ("build", dice.randint(110, 125)),
        ("sleeper",),
    ]
    dice.shuffle(roles)
    workloads = {words[0]: await attempt.start(*words) for words in roles}
    async with attempt.probe() as probe:
        began_s = time.monotonic()
        await asyncio.gather(*(workload.run() for workload in workloads.values()))
        await probe.read()
        took_s = time.monotonic() - began_s
    accused = {(alert.get("pid"), alert.get("kind")) for alert in probe.events("alerts")}
    pids = {role: workload.pid for role, workload in workloads.items()}
    for role, kind, name in (("spin", _SPIN, "spinner"), ("storm", _STORM, "storm")):
        is_found = (pids[role], kind) in accused
        yield Outcome(
            f"the {name} is found",
            is_found,
            f"an alert with pid {pids[role]} and kind {kind}",
            "it is there" if is_found else f"none such, of {len(accused)}",
            "begin" if not accused else f"only-{'storms' if kind == _SPIN else 'spins'}",
        )
    for role, name, hint in (
        ("worker", "one that works in short pieces", "busy-is-no-spin"),
        ("build", "one that forks as often, but slowly", "never-resets"),
        ("sleeper", "one that sleeps", "busy-is-no-spin"),
    ):
        is_accused = any(pid == pids[role] for pid, _ in accused)
        yield Outcome(
            f"{name} is left alone",
            bool(accused) and not is_accused,
            f"no alert with pid {pids[role]}, and some with others",
            "there is one" if is_accused else f"none, of {len(accused)}",
            hint if accused else "begin",
        )
    share = probe.run_time_ns / 1e9 / took_s
    yield Outcome(
        "it costs little",
        share < _MAX_CPU_SHARE,
        f"less than {100 * _MAX_CPU_SHARE:.0f} % of a CPU",
        f"{100 * share:.2f} %",
        "too-dear",
    )
