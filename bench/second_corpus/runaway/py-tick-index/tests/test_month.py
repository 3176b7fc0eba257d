import random

import pytest

from ticks import TickIndex

DAYS, PER_DAY = 22, 72_000
SYMBOLS = ["ALV", "BAS", "BMW", "DTE", "SAP", "SIE"]


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    folder, rng, files = tmp_path_factory.mktemp("month"), random.Random(7), []
    for day in range(DAYS):
        path = folder / f"day{day:02}.csv"
        with open(path, "w") as f:
            for i in range(PER_DAY):
                f.write(f"{SYMBOLS[i % 6]},{day * 86_400_000 + i * 900},{100 + rng.random() * 5:.3f},{1 + i % 400}\n")
        files.append(path)
    return files


@pytest.fixture(scope="module")
def index(month):
    index = TickIndex()
    for path in month:
        index.load(path)
    return index


def test_all_days_are_there(index):
    assert len(index) == DAYS * PER_DAY


def test_vwap_is_within_the_band(index):
    for symbol in SYMBOLS:
        assert 100 < index.vwap(symbol, 0, DAYS * 86_400_000) < 105


def test_last_tick_before(index):
    rng = random.Random(3)
    for _ in range(300_000):
        day, symbol = rng.randrange(DAYS), rng.choice(SYMBOLS)
        time = day * 86_400_000 + rng.randrange(10_000, PER_DAY * 900)
        assert index.at(symbol, time).time <= time
