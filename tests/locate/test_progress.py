"""Whether memory moves on: words of pages, read again and again."""

import array
import os
import random

import pytest

from linnix_ls.locate import progress
from linnix_ls.locate.progress import is_clock, watch_memory
from tests.locate.specimens import NO_PID, running_python

N_LOOKS = progress.N_LOOKS
TIMES_S = [100 + 0.04 * n + 0.003 * (n % 3) for n in range(N_LOOKS)]
CHANCE = random.Random(11)
TYPE = 0x7F12_3456_7890  # where the type of an object is
KEYS = 0x7F12_0000_1000
PAGE = 0x7F12_3400_0000


def count(*columns, counts_references=False):
    """(advancing, never the same, left for good) of words that took those values."""
    looks = [array.array("Q", row) for row in zip(*columns, strict=True)]
    return progress._count(PAGE, looks, TIMES_S, counts_references=counts_references)


def always(value):
    return [value] * N_LOOKS


RISING = [5 * n * n for n in range(N_LOOKS)]


def test_what_stays_counts_as_nothing():
    assert count(always(1), always(0)) == (0, 0, 0)


@pytest.mark.parametrize("values", [RISING, [10**6 - v for v in RISING]])
def test_what_rises_or_falls_all_the_time_advances(values):
    assert count(values) == (1, 1, 1)


def test_what_comes_back_neither_advances_nor_is_left():
    assert count([n % 3 for n in range(N_LOOKS)]) == (0, 0, 0)


def test_what_is_new_each_time_but_goes_up_and_down_is_never_the_same():
    values = [n * 7 % 31 for n in range(N_LOOKS)]
    assert len(set(values)) == N_LOOKS
    assert count(values) == (0, 1, 1)


@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_what_changes_now_and_then_and_never_back_is_left_for_good(n_steps):
    """A result that is written once, a total that is added to."""
    values = [900 + n * n_steps // N_LOOKS for n in range(N_LOOKS)]
    n_left = 1 if len(set(values)) > 1 else 0
    assert count(values) == (0, 0, n_left)


def test_what_changes_and_once_comes_back_is_not_left():
    values = [1] * 4 + [2] * 4 + [1] * (N_LOOKS - 8)
    assert count(values) == (0, 0, 0)


def test_the_time_is_no_advance():
    ns = [round(1e9 * at_s) for at_s in TIMES_S]
    floats = list(array.array("Q", array.array("d", TIMES_S).tobytes()))
    for clock in (ns, floats):
        assert is_clock(clock, TIMES_S)
        assert count(clock) == (0, 1, 1)
    assert not is_clock(RISING, TIMES_S)
    assert not is_clock([n * 10**9 for n in range(N_LOOKS)], TIMES_S)  # faster than time


def test_whatever_floats_a_word_may_be_it_is_compared():
    infinite, not_a_number = 0x7FF << 52, (0x7FF << 52) + 1
    assert not is_clock([infinite, not_a_number], [0.0, 0.5])
    assert not is_clock([0, (1 << 64) - 1], [0.0, 0.5])


# -- what CPython counts by itself ---------------------------------------------------------------


def test_references_to_an_object_are_no_progress():
    assert count(RISING, always(TYPE), counts_references=True)[0] == 0
    assert count(RISING, always(TYPE), counts_references=False)[0] == 1


def test_a_number_before_something_else_is_progress():
    for behind in (0, 17, 1 << 62, TYPE + 1):
        assert count(RISING, always(behind), counts_references=True)[0] == 1


def test_the_version_of_a_dictionary_is_no_progress():
    header = always(3), always(TYPE), always(1)
    assert count(*header, RISING, always(KEYS + 8), counts_references=True)[0] == 0


def test_a_number_among_addresses_without_a_header_is_progress():
    assert count(always(TYPE), always(1), RISING, always(KEYS + 8), counts_references=True)[0] == 1


def test_a_number_in_a_variable_is_progress_though_a_free_object_follows():
    """Its digits are where a dictionary has its version, and then comes the next free one's
    address where that has its keys."""
    number = always(1), always(TYPE), always(1), RISING
    assert count(*number, always(PAGE + 64), counts_references=True)[0] == 1
    assert count(*number, always(PAGE + 0x3FF0), counts_references=True)[0] == 1


def test_the_length_of_a_list_is_progress():
    """Behind it is the address of its items."""
    assert count(always(1), always(TYPE), RISING, always(KEYS), counts_references=True)[0] == 1


def test_references_to_an_object_behind_another_one_are_no_progress():
    collector = always(KEYS), always(KEYS + 32)  # before each object that it cares for
    assert count(*collector, RISING, always(TYPE), counts_references=True)[0] == 0
    assert count(always(0), always(0), RISING, always(TYPE), counts_references=True)[0] == 0


def test_no_number_of_references_is_that_large():
    values = [progress.MAX_REFERENCES + 16 * v for v in RISING]
    assert count(values, always(TYPE), counts_references=True)[0] == 1


def test_at_the_end_of_a_page_nothing_is_behind():
    assert count(always(TYPE), RISING, counts_references=True)[0] == 1
    assert count(RISING, counts_references=True)[0] == 1


# -- which pages ---------------------------------------------------------------------------------


def test_pages_that_are_present_are_those_whose_entry_says_so():
    entries = array.array("Q", [0, 1 << 63, 1 << 62, (1 << 63) + 77]).tobytes()
    assert progress._present(entries + b"\0\0", 0x10000) == [
        0x10000 + n * progress._PAGE_BYTES for n in (1, 3)
    ]


def test_of_who_is_not_there_nothing_is_known():
    assert watch_memory(NO_PID) is None
    assert watch_memory(0) is None


# -- real processes ------------------------------------------------------------------------------

needs_right = pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root")


def watched(tmp_path, before, body):
    script = tmp_path / "loop.py"
    indented = "".join(f"        {line}\n" for line in body.splitlines())
    script.write_text(
        f"{before}\ndef main():\n    n = 0\n    print('ready', flush=True)\n    while True:\n"
        f"{indented}\nmain()\n"
    )
    with running_python(script) as pid:
        found = watch_memory(pid, counts_references=True)
    assert found is not None
    return found


@pytest.mark.e2e
@needs_right
@pytest.mark.parametrize(
    ("before", "body"),
    [
        ("", "if n < 0:\n    break"),
        ("text = 'a word'", "rest = text.strip()\nif not rest:\n    break"),
        ("class At: pass\nat = At()\nat.n = 5", "at.n = at.n * 3 % 7"),
        ("kept = {}", "kept['last'] = kept.get('last', 0)"),
        ("import time", "if time.monotonic() < 0:\n    break"),
    ],
    ids=["nothing", "calls", "circle", "dictionary", "clock"],
)
def test_a_python_loop_that_stands_still_advances_in_nothing(tmp_path, before, body):
    found = watched(tmp_path, before, body)
    assert found.n_advancing_words == 0
    assert found.n_changed_pages < 60


@pytest.mark.e2e
@needs_right
@pytest.mark.parametrize(
    ("before", "body"),
    [
        ("class At: pass\nat = At()\nat.n = 10 ** 6", "at.n += 1"),
        ("kept = {'n': 10 ** 6}", "kept['n'] += 1"),
        ("numbers = [10 ** 6]", "numbers[0] += 1"),
        ("numbers = [1.5]", "numbers[0] += 0.25"),
        ("import itertools\nkept = []", "n += 1\nif n % 50_000 == 0:\n    kept.append(None)"),
    ],
    ids=["attribute", "dictionary", "list", "fraction", "length"],
)
def test_a_python_loop_that_counts_advances_wherever_it_counts(tmp_path, before, body):
    assert watched(tmp_path, before, body).n_advancing_words > 0
