"""Lesson 9: thousands of keys for maps of 1,024 entries."""

from linnix_ls.playground.lessons import Attempt, Outcome

_PERCPU_ARRAY = 6  # of enum bpf_map_type
_N_ENTRIES = 1024


async def check(attempt: Attempt):
    first_file = attempt.dice.randint(100_000, 900_000)
    n_files = attempt.dice.randint(4_000, 6_000)
    runner = await attempt.start(first_file, n_files)
    other = await attempt.start(first_file + n_files, 50)
    async with attempt.probe(RUNNER=runner.pid) as probe:
        await runner.run()
        await other.run()
        await probe.read()
    n_first = len(probe.rows("first"))
    n_refused = probe.numbers("refused").get(0, 0)
    yield Outcome(
        "the hash is full, and what it refuses is counted",
        n_first == _N_ENTRIES and n_refused == n_files - _N_ENTRIES,
        f"{_N_ENTRIES} rows in `first`, {n_files - _N_ENTRIES} refused",
        f"{n_first} rows, {n_refused} refused",
        "larger" if n_first > _N_ENTRIES else "begin",
    )
    recent = set(probe.numbers("recent"))
    last = set(range(first_file + n_files - 100, first_file + n_files))
    yield Outcome(
        "the last files are in `recent`",
        last <= recent and len(recent) <= _N_ENTRIES,
        f"the last {len(last)}, among at most {_N_ENTRIES}",
        f"{len(last & recent)} of them, among {len(recent)}",
        "plain-recent",
    )
    n_calls = probe.numbers("calls").get(0, 0)
    is_per_cpu = probe.kind("calls") == _PERCPU_ARRAY
    yield Outcome(
        "calls are counted, each CPU for itself",
        is_per_cpu and n_calls == n_files,
        f"{n_files}, in an array for each CPU",
        f"{n_calls}, in " + ("one for each CPU" if is_per_cpu else "one that all share"),
        "shared-counter",
    )
