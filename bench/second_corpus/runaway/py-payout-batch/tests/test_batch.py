import pytest

from payouts.batch import run


def test_even_amounts():
    done = run([("march", 100.5, [1, 1]), ("april", 90.0, [1, 2])])
    assert done["march"] == [50.25, 50.25]
    assert sum(done["april"]) == 90.0


def test_odd_cents():
    done = run([("may", 250.0, [1, 1, 2]), ("june", 19.99, [1, 1, 1])])
    assert sum(done["june"]) == pytest.approx(19.99)
