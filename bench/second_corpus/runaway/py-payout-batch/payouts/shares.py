"""Splits an amount of money between partners."""


def spread(total, weights):
    """`total` split by weight, to the cent; the shares add up to `total`."""
    whole = sum(weights)
    shares = [round(total * weight / whole, 2) for weight in weights]
    turn = 0
    while sum(shares) != total:
        step = 0.01 if sum(shares) < total else -0.01
        shares[turn % len(shares)] += step
        turn += 1
    return shares
