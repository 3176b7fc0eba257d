"""Lesson 5: each program loads, and still does what it is for."""

import string

from linnix_ls.playground.base import Severity
from linnix_ls.playground.lessons import Attempt, Outcome

_PROGRAMS = {
    "tracepoint__syscalls__sys_enter_fsync": ("1, an entry that may not be there", "begin"),
    "tracepoint__syscalls__sys_enter_umask": ("2, an index that may be anything", "index"),
    "tracepoint__syscalls__sys_enter_getpgid": ("3, a record not given back", "leak"),
    "tracepoint__syscalls__sys_enter_pwrite64": ("4, a size that may be anything", "size"),
    "tracepoint__syscalls__sys_enter_getsid": ("5, a loop that may never end", "loop"),
    "tracepoint__sched__sched_process_exec": ("6, text behind the record", "context"),
}


async def check(attempt: Attempt):
    checked = await attempt.checked()
    errors = {}
    for problem in checked.problems:
        if problem.severity is Severity.ERROR:
            errors.setdefault(problem.program, f"line {problem.span.line}: {problem.message}")
    loaded = {program.name for program in checked.programs if not program.errno}
    for name, (title, hint) in _PROGRAMS.items():
        seen = "it loads" if name in loaded else errors.get(name) or errors.get(None, "not there")
        yield Outcome(title, name in loaded, "it loads", seen, hint)
    if not loaded >= _PROGRAMS.keys():
        return
    dice = attempt.dice
    number, n_syncs = dice.randint(1000, 5000), dice.randint(3, 9)
    mask, n_masks = dice.randint(1, 14), dice.randint(3, 9)
    pids = [dice.randint(100_000_000, 200_000_000) for _ in range(dice.randint(3, 9))]
    text = "".join(dice.choices(string.ascii_letters, k=40))
    levels = dice.randint(3, 9)
    program = attempt.scratch / "x"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    words = [
        *[f"fsync={number}"] * n_syncs,
        *[f"umask={mask}"] * n_masks,
        "umask=511",
        *(f"getpgid={pid}" for pid in pids),
        *["getpgid=0"] * 3,
        f"pwrite={text}",
        f"depth={levels}",
        f"exec={program}",
    ]
    runner = await attempt.start(*words)
    n_ancestors = levels + _n_ancestors(runner.pid)
    control = await attempt.start(*[f"fsync={number}"] * 5, "umask=3", "getpgid=77", "pwrite=no")
    async with attempt.probe(RUNNER=runner.pid) as probe:
        await runner.run()
        await control.run()
        await probe.read()
    count = probe.numbers("syncs").get(number, 0)
    yield _works("1 counts", n_syncs, count, "null-work")
    masks = next((list(value["n"]) for _, value in probe.rows("masks")), [])
    expected = [n_masks if at == mask else 0 for at in range(16)]
    yield _works("2 counts", expected, masks, "index-work")
    n_calls = sum(1 for _ in probe.events("asked"))
    yield _works("3 sends", len(pids), n_calls, "leak-work")
    written = next((value["bytes"] for _, value in probe.rows("written")), "")
    yield Outcome(
        "4 reads",
        len(written) >= 8 and text.startswith(written),
        f"at least 8 bytes of {text[:16]!r}",
        repr(written),
        "size",
    )
    seen = probe.numbers("depth").get(0, 0)
    yield _works("5 climbs", n_ancestors, seen, "loop-work")
    path = next((value["bytes"] for _, value in probe.rows("last_path")), "")
    yield Outcome(
        "6 reads",
        len(path) >= 8 and str(program).startswith(path),
        f"at least 8 bytes of {str(program)!r}",
        repr(path),
        "context",
    )


def _works(name, expected, seen, hint):
    return Outcome(name, expected == seen, str(expected), str(seen), hint)


def _n_ancestors(pid):
    """Of the chain up to pid 1, with `pid` itself and without pid 1."""
    n_found = 0
    while pid > 1:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            pid = int(file.read().rpartition(")")[2].split()[1])
        n_found += 1
    return n_found
