import pytest

from stock.depot import Depot
from stock.moves import run_shifts


@pytest.fixture
def depots():
    return Depot("north", {"bolt": 200_000}), Depot("south", {"nut": 200_000})


def test_one_way(depots):
    north, south = depots
    run_shifts([[(north, south, "bolt", 2)] * 500])
    assert south.items["bolt"] == 1000


def test_both_ways(depots):
    north, south = depots
    run_shifts([
        [(north, south, "bolt", 1)] * 50_000,
        [(south, north, "nut", 1)] * 50_000,
    ])
    assert north.items == {"bolt": 150_000, "nut": 50_000}
    assert south.items == {"bolt": 50_000, "nut": 150_000}
