"""Where one generation's records end and the next one's begin, with records as values."""

import itertools
import random
from collections import Counter

import pytest

from linnix_ls.tracer import wire
from linnix_ls.tracer.seam import Seam, Side

FORK, EXEC, EXIT, SAMPLE = wire.EventKind
MS = 1_000_000


def record(ktime_ns, kind=EXEC, tgid=1):
    header = wire.EventHeader(ktime_ns=ktime_ns, start_boottime_ns=7, tgid=tgid, kind=kind)
    return bytes(header)


def story(seed):
    """Hits as (older record's time, newer record's, kind, process); those of one process come one
    after the other."""
    chance = random.Random(seed)
    at_ns = 0
    for _ in range(200):
        at_ns += chance.randint(1, 3 * MS)
        gap_ns = chance.choice([1_000, 2_000, 4 * MS])
        yield at_ns, at_ns + gap_ns, chance.choice([FORK, EXEC, EXIT]), chance.randint(1, 3)
        at_ns += gap_ns


def told(records):
    return Counter(records)


@pytest.mark.parametrize("seed", range(30))
def test_each_hit_counts_once_there_and_back_wherever_the_time_falls(seed):
    hits = list(story(seed))
    chance = random.Random(seed)
    times = sorted(chance.sample(range(hits[0][0], hits[-1][1]), 2))
    # In part right between the two records of a hit.
    chosen = chance.sample(hits, 2)
    if seed % 2:
        times = sorted(older + 1 for older, *_ in chosen)
    seam = Seam()
    seam.both_see(0)
    counted = []
    older = [(o, record(o, kind, tgid)) for o, _, kind, tgid in hits]
    newer = [(n, record(n, kind, tgid)) for _, n, kind, tgid in hits]
    edges = [0, *times, 1 << 62]
    for index, (start, end) in enumerate(itertools.pairwise(edges)):
        if index < len(times):
            seam.cut(times[index])
        # What is under way for a while longer than the time that was chosen.
        for side, all_of_it in ((Side.OLDER, older), (Side.NEWER, newer)):
            counted += seam.take(side, [raw for at, raw in all_of_it if start <= at < end])
        if index < len(times):
            counted += seam.finish()
    hit_of = {raw: o for o, raw in older} | {
        raw: o for (_, raw), (o, *_) in zip(newer, hits, strict=True)
    }
    assert told(hit_of[raw] for raw in counted) == told(o for o, *_ in hits)


def test_until_there_is_a_time_the_older_one_speaks_and_the_newer_one_does_not():
    seam = Seam()
    assert seam.take(Side.OLDER, [record(5)]) == [record(5)]
    assert seam.take(Side.NEWER, [record(6)]) == []


def test_an_exchange_that_does_not_come_about_loses_nothing():
    seam = Seam()
    seam.cut(10)
    assert seam.take(Side.OLDER, [record(9), record(11)]) == [record(9)]
    assert seam.give_up() == [record(11)]
    assert seam.take(Side.OLDER, [record(12)]) == [record(12)]


def test_what_one_has_not_told_when_it_died_the_other_does():
    seam = Seam()
    seam.both_see(0)
    seam.cut(10)
    seam.finish()
    assert seam.take(Side.NEWER, [record(20)]) == [record(20)]
    assert seam.take(Side.OLDER, [record(19), record(30, tgid=2)]) == []
    seam.cut_after_the_last_of(Side.NEWER)
    assert seam.finish() == [record(30, tgid=2)]
    assert seam.take(Side.OLDER, [record(40)]) == [record(40)]


def test_a_program_that_is_started_again_at_once_is_no_twin():
    """The hits of one process come one after the other, each with both its records."""
    seam = Seam()
    seam.both_see(0)
    seam.take(Side.OLDER, [record(1 * MS)])
    seam.take(Side.NEWER, [record(1 * MS + 1)])
    seam.cut(2 * MS)
    seam.take(Side.OLDER, [record(3 * MS)])
    seam.take(Side.NEWER, [record(3 * MS + 1)])
    assert seam.finish() == [record(3 * MS + 1)]


def test_samples_have_no_twins():
    seam = Seam()
    seam.both_see(0)
    seam.take(Side.OLDER, [record(9, SAMPLE)])
    seam.cut(10)
    seam.take(Side.NEWER, [record(11, SAMPLE)])
    assert seam.finish() == [record(11, SAMPLE)]


def test_what_is_no_record_of_ours_is_told_by_who_speaks():
    seam = Seam()
    assert seam.take(Side.OLDER, [b"odd"]) == [b"odd"]
    assert seam.take(Side.NEWER, [b"odd"]) == []
