"""Lesson 1: the rows of two processes that exec, and of one that does not."""

from linnix_ls.playground.lessons import Attempt, Outcome


async def check(attempt: Attempt):
    n_execs = attempt.dice.randint(10, 40)
    n_others = attempt.dice.choice([n for n in range(5, 30) if n != n_execs])
    runner = await attempt.start("exec", n_execs)
    other = await attempt.start("exec", n_others)
    quiet = await attempt.start("rest", 0)
    async with attempt.probe() as probe:
        pid, other_pid = await runner.run(), await other.run()
        await quiet.run()
        await probe.read()
        rows = probe.numbers("execs")
    seen = rows.get(pid)
    yield Outcome(
        "the runner's row",
        seen == n_execs,
        f"execs[{pid}] is {n_execs}",
        _seen(pid, rows),
        _hint(seen, rows, n_execs + n_others),
    )
    seen = rows.get(other_pid)
    yield Outcome(
        "another process's row",
        seen == n_others,
        f"execs[{other_pid}] is {n_others}",
        _seen(other_pid, rows),
        _hint(seen, rows, n_execs + n_others),
    )
    yield Outcome(
        "a process that never execs",
        bool(rows) and quiet.pid not in rows,
        f"no row {quiet.pid}, though others have theirs",
        _seen(quiet.pid, rows),
    )


def _seen(pid, rows):
    if not rows:
        return "the map `execs` is empty"
    return f"execs[{pid}] is {rows[pid]}" if pid in rows else f"no such row, of {len(rows)}"


def _hint(seen, rows, n_all):
    if seen == 1:
        return "only-one"
    return "one-row" if len(rows) == 1 and sum(rows.values()) >= n_all else "begin"
