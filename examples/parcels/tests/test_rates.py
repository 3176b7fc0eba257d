import pytest

from parcels.rates import price_cents


@pytest.mark.parametrize(
    ("country", "weight_g", "expected"),
    [("AT", 400, 600), ("AT", 1000, 600), ("AT", 1001, 710), ("US", 5000, 3040)],
)
def test_every_kilogram_begun_counts(country, weight_g, expected):
    assert price_cents(country, weight_g) == expected


def test_unknown_countries_are_refused():
    with pytest.raises(ValueError, match="we do not ship to XX"):
        price_cents("XX", 100)
