"""Tax bands of one year, kept in order of where they begin."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    start: int
    percent: int


class BandTable:
    def __init__(self, bands):
        self.bands = sorted(bands, key=lambda band: band.start)

    def find(self, amount):
        """The band that `amount` falls into: the last one that begins at or below it."""
        low, high = 0, len(self.bands) - 1
        while low < high:
            middle = (low + high) // 2
            if self.bands[middle].start <= amount:
                low = middle
            else:
                high = middle - 1
        return self.bands[low]
