import pytest

from seats.map import SeatMap
from seats.office import Office


@pytest.fixture
def office():
    return Office(SeatMap([f"{row}{n}" for row in "ABC" for n in range(1, 11)]))


def test_party_gets_its_seats(office):
    assert office.book_party("ann", ["A1", "A2"]) == ["A1", "A2"]
    assert office.summary() == {"free": 28, "refused": 0}


def test_second_party_is_refused(office):
    office.book_party("ann", ["A1", "A2"])
    assert office.book_party("bob", ["A2", "A3"]) == []
    assert office.summary() == {"free": 28, "refused": 1}
