import pytest

from tiles import histogram, render

LIMIT = 2400
CORNERS = [(-0.75 + 0.125 * i, 0.25 - 0.125 * j) for i in range(4) for j in range(4)]


@pytest.mark.parametrize("left,top", CORNERS)
def test_tile_touches_the_set(left, top):
    upper = histogram(render(left, top, 0.125, 64, LIMIT))
    assert sum(upper.values()) == 64 * 64
    assert max(upper) == LIMIT


def test_outside():
    assert set(histogram(render(3.0, 3.0, 1.0, 16, LIMIT))) == {1}
