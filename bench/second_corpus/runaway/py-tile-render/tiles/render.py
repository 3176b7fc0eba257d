"""Escape-time tiles of the Mandelbrot set, in plain Python."""
from collections import Counter


def escape(cx, cy, limit):
    x = y = 0.0
    for n in range(limit):
        x2, y2 = x * x, y * y
        if x2 + y2 > 4.0:
            return n
        y = 2.0 * x * y + cy
        x = x2 - y2 + cx
    return limit


def render(left, top, size, pixels, limit):
    step = size / pixels
    return [[escape(left + i * step, top - j * step, limit) for i in range(pixels)]
            for j in range(pixels)]


def histogram(tile):
    return Counter(n for row in tile for n in row)
