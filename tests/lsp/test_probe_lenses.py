"""How figures, maps and records of a probe are worded; and how they come about."""

import pytest

from linnix_ls.lsp import probe_lenses
from linnix_ls.lsp.probe_figures import MAX_EVENTS, Figures
from linnix_ls.playground.base import MapReading, ProbeEvent, ProbeReading, ProgramReading


def a_reading(run_count, run_time_ns, *, n_events=0, events=(), generation=1):
    program = ProgramReading("p", "tracepoint a:b", run_count, run_time_ns, 7)
    return ProbeReading(
        (program,), (), events, 0, 0.01, 1.0, 60.0, generation=generation, n_events=n_events
    )


def events(first, last, name="events"):
    return tuple(ProbeEvent(i, 0, name, {}) for i in range(first, last + 1))


def test_rates_are_between_two_readings():
    figures = Figures()
    figures.take(a_reading(100, 50_000), 10.0)
    assert (figures.runs_per_s, figures.ns_per_run, figures.events_per_s) == (None, None, None)
    figures.take(a_reading(300, 250_000, n_events=30), 12.0)
    assert (figures.runs_per_s, figures.ns_per_run, figures.events_per_s) == (100, 1000, 15)


def test_what_does_not_run_has_no_time_per_run():
    figures = Figures()
    figures.take(a_reading(100, 50_000), 10.0)
    figures.take(a_reading(100, 50_000), 11.0)
    assert (figures.runs_per_s, figures.ns_per_run) == (0, None)


def test_a_new_generation_counts_anew_and_the_last_figures_stay_until_then():
    figures = Figures()
    figures.take(a_reading(100, 50_000), 10.0)
    figures.take(a_reading(200, 150_000), 11.0)
    figures.take(a_reading(3, 90, generation=2), 12.0)
    assert (figures.runs_per_s, figures.ns_per_run) == (100, 1000)
    figures.take(a_reading(53, 50_090, generation=2), 13.0)
    assert figures.runs_per_s == 50


def test_records_are_taken_once_and_the_newest_are_kept():
    figures = Figures()
    figures.take(a_reading(0, 0, events=events(1, 5)), 10.0)
    figures.take(a_reading(0, 0, n_events=3, events=events(3, 8)), 11.0)
    assert [each.sequence for each in figures.events] == [1, 2, 3, 4, 5, 6, 7, 8]
    figures.take(a_reading(0, 0, n_events=9, events=events(9, 3000)), 12.0)
    assert (len(figures.events), figures.last_event) == (MAX_EVENTS, 3000)


def test_what_has_sent_before_the_first_reading_and_not_since_sends_none_a_second():
    figures = Figures()
    figures.take(a_reading(5, 50, n_events=5, events=events(1, 5)), 10.0)
    figures.take(a_reading(5, 50, n_events=5), 11.0)
    assert figures.sent_per_s == {"events": 0}


def test_of_records_that_were_not_kept_each_map_has_its_share():
    figures = Figures()
    figures.take(a_reading(0, 0), 10.0)
    fresh = (*events(1, 3), *events(4, 4, "others"))
    figures.take(a_reading(0, 0, n_events=400, events=fresh), 11.0)
    assert figures.sent_per_s == {"events": 300, "others": 100}
    figures.take(a_reading(0, 0, n_events=400), 12.0)
    assert figures.sent_per_s == {"events": 0, "others": 0}


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "…"), (0, "0"), (0.04, "0.0"), (1.25, "1.2"), (9.96, "10"), (1234.5, "1,234")],
)
def test_rates_have_few_digits(value, said):
    assert probe_lenses.rate(value) == said


@pytest.mark.parametrize(
    ("ns", "said"),
    [(None, "…"), (812, "0.8 µs"), (123_456, "123 µs"), (12_345_678, "12.3 ms")],
)
def test_times_have_a_unit_that_fits(ns, said):
    assert probe_lenses.duration(ns) == said


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (MapReading("m", "hash", (), 0), "0 entries"),
        (MapReading("m", "hash", ((1, 2),), 1), "1 entry"),
        (MapReading("m", "hash", ((1, 2),), 1204), "1,204 entries"),
        (MapReading("m", "hash", ((1, 2),), 100_000), "at least 100,000 entries"),
        (MapReading("m", "array", ((0, 1204),), 1), "1,204"),
        (MapReading("m", "percpu_array", ((0, {"a": [1, "x"]}),), 1), "a: [1, x]"),
        (MapReading("m", "array", ((0, 1), (1, 2)), 2), "3 in all"),
        (MapReading("m", "array", ((0, "\x1b\n" * 90),), 1), "\\x1b\\n" * 29 + "\\x1b…"),
        (MapReading("m", "hash", ((0, 1), (1, 2)), 2, is_histogram=True), "3 in all"),
        (MapReading("m", "array", ((0, 1), (1, 2)), 400), "400 entries"),
    ],
)
def test_a_map_is_a_few_words(reading, said):
    assert probe_lenses.map_value(reading) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "… of a CPU"),
        (0.0003, "0.03 % of a CPU"),
        (0.01, "1.00 % of a CPU"),
        (0.012, "1.20 % of a CPU, which is much"),
    ],
)
def test_a_probe_that_is_dear_is_called_so(value, said):
    assert probe_lenses.share(value) == said
