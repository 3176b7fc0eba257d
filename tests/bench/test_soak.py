import pytest

from bench.soak.page import markdown
from bench.soak.verdict import growth, judge, trend

HELD = {
    "rss_bytes": 60e6,
    "pss_bytes": 50e6,
    "heap_bytes": 40e6,
    **dict.fromkeys(("n_fds", "n_sockets", "n_threads", "n_programs", "n_maps", "n_links"), 5),
}
RESULT = {
    "tool": {"name": "linnix-ls", "version": "0.1.0"},
    "measured_at": "2026-01-31T12:00:00Z",
    "n_cpus": 2,
    "kernel": "6.1",
    "load": 0.1,
    "seed": 1,
    "n_rounds": 21,
    "done": {"processes of storms": 40_000},
    "problems": [],
    "left": [],
    "complaints": [],
    "cpu_us_per_process": [190.0] * 20,
    "not_flat": [],
}


def resting(change=lambda n: {}, **counts):
    """A result with twenty rests, each with what `change` says of the agent."""
    rests = [
        {
            "at_s": 60.0 * n,
            "roles": {"agent": HELD | change(n)},
            "n_processes": 3,
            "n_files": 2,
            "n_stale_entries": 0,
            **(counts if n == 19 else {}),
        }
        for n in range(20)
    ]
    return RESULT | {"rests": rests, "looks": rests}


def test_a_few_odd_figures_do_not_change_a_trend():
    points = [(float(n), 10.0 + n) for n in range(20)]
    points[3], points[17] = (3.0, 900.0), (17.0, -50.0)
    assert trend(points) == pytest.approx(1.0)


def test_growth_is_that_of_the_second_half():
    warming_up = [(float(n), min(n, 10) * 1.0) for n in range(21)]
    assert growth(warming_up) == 0
    assert growth([(float(n), 100.0 + n) for n in range(21)]) == pytest.approx(10 / 115)


def test_what_stays_as_it_is_is_flat():
    assert judge(resting()) == []


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (resting(lambda n: {"heap_bytes": 40e6 + n * 3e5}), "agent: memory grew by 6.1%"),
        (resting(lambda n: {"n_fds": 5 + (n > 15)}), "agent: n_fds was 5 at the first rest, 6"),
        (resting(n_stale_entries=7), "n_stale_entries were 0 at the first rest, 7 at the last"),
        (resting() | {"left": ["map 7 in the kernel"]}, "left behind: map 7 in the kernel"),
        (resting() | {"cpu_us_per_process": [100.0 + 3 * n for n in range(20)]}, "CPU per process"),
    ],
)
def test_what_does_not_is_told(result, said):
    [sentence] = judge(result)
    assert said in sentence


def test_the_page_says_so():
    result = resting(n_files=9)
    page = markdown(result | {"not_flat": judge(result)})
    assert "**Not flat**" in page
    assert "- n_files were 2 at the first rest, 9 at the last" in page
    assert "**Flat, and nothing was left behind**" in markdown(resting())
