"""All ticks of a month in memory, by symbol and time: the back-tests read them at random."""
import csv
from bisect import bisect_right


class Tick:
    def __init__(self, symbol, time, price, size):
        self.symbol = symbol
        self.time = time
        self.price = price
        self.size = size


class TickIndex:
    def __init__(self):
        self._ticks = {}
        self._times = {}

    def __len__(self):
        return len(self._ticks)

    def load(self, path):
        with open(path, newline="") as f:
            for symbol, time, price, size in csv.reader(f):
                tick = Tick(symbol, int(time), float(price), int(size))
                self._ticks[symbol, tick.time] = tick
                self._times.setdefault(symbol, []).append(tick.time)

    def at(self, symbol, time):
        times = self._times[symbol]
        i = bisect_right(times, time)
        return self._ticks[symbol, times[i - 1]] if i else None

    def vwap(self, symbol, start, end):
        times = self._times[symbol]
        value = volume = 0
        for time in times[bisect_right(times, start - 1):bisect_right(times, end)]:
            tick = self._ticks[symbol, time]
            value += tick.price * tick.size
            volume += tick.size
        return value / volume
