"""Seats of one performance, booked from many request threads."""
import threading


class SeatTaken(Exception):
    pass


class SeatMap:
    def __init__(self, names):
        self._owner = dict.fromkeys(names)
        self._guard = threading.Lock()

    def _enter(self):
        # Held for microseconds only, so do not go to sleep over it.
        while not self._guard.acquire(blocking=False):
            continue

    def _leave(self):
        self._guard.release()

    def book(self, seat, customer):
        self._enter()
        if self._owner[seat] is not None:
            raise SeatTaken(seat)
        self._owner[seat] = customer
        self._leave()

    def free(self):
        self._enter()
        names = [seat for seat, owner in self._owner.items() if owner is None]
        self._leave()
        return names
