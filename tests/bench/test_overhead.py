"""What watching costs: the loads, who watches, and what the figures say."""

import pytest

from bench.overhead import kernel_cost, page
from bench.overhead.loads import Load, Timing, Workshop
from bench.overhead.watchers import AGAIN, BPFTRACE, NOTHING, RUN, Beside, CannotWatch, Wrapping
from bench.publish import newest
from tests.bench.test_pages import ABOUT

FORKED = {"wall_ns": 10**9, "cpu_ns": 8 * 10**8, "busy_ns": 10**9}


def times(factor):
    return {"fork": {name: round(ns * factor) for name, ns in FORKED.items()}}


def result(*rounds, **fields):
    return {
        **ABOUT,
        "schema": page.SCHEMA,
        "is_quick": False,
        "loads": {"fork": "1,000 × forks"},
        "watchers": [NOTHING.name, AGAIN.name, RUN, BPFTRACE],
        "rounds": [dict(one) for one in rounds],
        "not_run": {},
        "probes": {},
        "is_complete": True,
        **fields,
    }


def test_an_overhead_is_the_median_of_ratios_within_rounds():
    measured = result(
        {NOTHING.name: times(1), RUN: times(1.02)},
        {NOTHING.name: times(2), RUN: times(2.2)},
        {NOTHING.name: times(1), RUN: times(1.05)},
    )
    overhead = page.overhead(measured, RUN, "fork", "wall_ns")
    assert str(overhead) == "+5.0 (+2.0 to +10.0)"


def test_a_page_says_what_is_met_what_is_not_and_what_did_not_run():
    measured = result(
        {NOTHING.name: times(1), AGAIN.name: times(1.01), RUN: times(1.12)},
        not_run={BPFTRACE: "not installed"},
        probes={"fork": {"cpu_ns": 10**9, "programs": {"exit": {"n_runs": 2, "run_time_ns": 8}}}},
    )
    text = page.markdown(measured)
    assert "| 10 %" in text and "+12.0 %" in text and "**not met**" in text
    assert "- not run: bpftrace: not installed" in text
    assert "4 ns × 2" in text


def test_each_load_and_watcher_has_its_bar_in_the_plot(tmp_path):
    measured = result({NOTHING.name: times(1), AGAIN.name: times(1), RUN: times(1.12)})
    drawn = page.plot(measured, tmp_path / "overhead").read_text()
    assert ">fork: wall time</text>" in drawn and ">not run</text>" in drawn


def test_only_whole_results_are_published():
    assert newest([result(is_quick=True)]) == newest([result(is_complete=False)]) == []
    assert len(newest([result()])) == 1


@pytest.mark.e2e
def test_small_loads_do_what_they_are_told_and_are_timed(tmp_path):
    workshop = Workshop(tmp_path)
    loads = [workshop._small(name, 3) for name in ("fork", "exec", "syscalls", "switches")]
    timings = workshop.timed(loads)
    assert len(timings) == 4
    assert all(timing.wall_ns > 0 for timing in timings)


def test_a_part_of_a_load_counts_as_the_whole():
    whole = Load("fork", "forks", ("load", "fork", "1000"), {}, count=1000)
    part = whole.part(20)
    assert part.command == ("load", "fork", "50")
    timing = Timing(wall_ns=5, cpu_ns=4, busy_ns=10)
    assert timing.times(whole.times_of(part)) == Timing(wall_ns=100, cpu_ns=80, busy_ns=200)
    build = Load("build", "make", ("make",), {})
    assert build.part(20) is build and build.times_of(build) == 1


@pytest.mark.e2e
def test_one_beside_is_up_when_it_has_seen_a_process(tmp_path):
    command = ("sh", "-c", "echo starting; echo true; exec sleep 60")
    watcher = Beside("a tool", command, lambda said: b"true" in said)
    with watcher.watching(tmp_path) as words:
        assert b"true" in (tmp_path / "output").read_bytes()
        assert tuple(words) == ()


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("sh", "-c", "echo no such event >&2; exit 3"), "no such event"),
        (("no-tool",), "installed"),
    ],
)
def test_a_tool_that_does_not_work_says_why(tmp_path, command, reason):
    watcher = Beside("a tool", command, lambda said: b"true" in said)
    with pytest.raises(CannotWatch, match=reason), watcher.watching(tmp_path):
        pass


def test_one_that_wraps_puts_its_words_in_front(tmp_path):
    with Wrapping("sh", ("sh", "{scratch}/x", "--")).watching(tmp_path) as words:
        assert list(words) == ["sh", f"{tmp_path}/x", "--"]


def test_runs_are_counted_from_a_moment_on():
    assert kernel_cost.Runs(7, 900).since(kernel_cost.Runs(5, 400)) == kernel_cost.Runs(2, 500)
