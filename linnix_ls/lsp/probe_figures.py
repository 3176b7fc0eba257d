"""What is known of a probe that runs: its readings made into figures per second, and its records.

Everything a client asks for is answered from here. Not here: reading (`live_probes`), and how it is
shown (`probe_lenses`, and `object_of` for `linnix/probe`).
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from linnix_ls.playground.base import MapReading, ProbeEvent, ProbeReading, ProgramReading

MAX_EVENTS = 1000
_MIN_INTERVAL_S = 0.2  # figures over less would only jump


@dataclass(frozen=True, slots=True)
class Rate:
    """Of a program, over the time between two readings. `ns_per_run`: None when it did not run."""

    runs_per_s: float
    ns_per_run: float | None


@dataclass
class Figures:
    """Of one probe through its generations.

    Attributes:
        rates: by program.
        events_per_s: None until there are two readings.
        sent_per_s: by ring or perf buffer; those that have sent.
    """

    reading: ProbeReading | None = None
    read_s: float = 0.0
    rates: dict[str, Rate] = field(default_factory=dict)
    events_per_s: float | None = None
    sent_per_s: dict[str, float] = field(default_factory=dict)
    events: deque[ProbeEvent] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))

    @property
    def last_event(self) -> int:
        """The sequence number of the newest record."""
        return self.events[-1].sequence if self.events else 0

    def take(self, reading: ProbeReading, now_s: float) -> None:
        """The next reading, with the records since `last_event` (or more)."""
        fresh = [each for each in reading.events if each.sequence > self.last_event]
        self.events.extend(fresh)
        before, interval_s = self.reading, now_s - self.read_s
        if before is not None and interval_s < _MIN_INTERVAL_S:
            return
        if before is not None:
            self._compare(before, reading, fresh, interval_s)
        self.reading, self.read_s = reading, now_s

    def _compare(
        self,
        before: ProbeReading,
        reading: ProbeReading,
        fresh: list[ProbeEvent],
        interval_s: float,
    ) -> None:
        n_events = reading.n_events - before.n_events
        if n_events >= 0:
            self.events_per_s = n_events / interval_s
            by_map = Counter(each.map for each in fresh)
            # Of many records not all are kept: those that are stand for the others.
            weight = n_events / len(fresh) / interval_s if fresh else 0.0
            # Those, too, that had sent before the first reading.
            gone = dict.fromkeys((*self.sent_per_s, *(each.map for each in self.events)), 0.0)
            self.sent_per_s = gone | {name: n * weight for name, n in by_map.items()}
        if before.generation != reading.generation:
            return  # counted anew: what was is shown until there is something to compare with
        earlier = {each.name: each for each in before.programs}
        self.rates = {
            each.name: _rate(earlier[each.name], each, interval_s)
            for each in reading.programs
            if each.name in earlier
        }

    @property
    def programs(self) -> tuple[ProgramReading, ...]:
        return self.reading.programs if self.reading else ()

    @property
    def maps(self) -> tuple[MapReading, ...]:
        return self.reading.maps if self.reading else ()

    @property
    def runs_per_s(self) -> float | None:
        """Of all programs."""
        return sum(each.runs_per_s for each in self.rates.values()) if self.rates else None

    @property
    def ns_per_run(self) -> float | None:
        """Of all programs, on average."""
        spent = [
            (each.runs_per_s, each.ns_per_run * each.runs_per_s)
            for each in self.rates.values()
            if each.ns_per_run is not None
        ]
        n_runs = sum(runs for runs, _ in spent)
        return sum(ns for _, ns in spent) / n_runs if n_runs else None


def _rate(before: ProgramReading, now: ProgramReading, interval_s: float) -> Rate:
    n_runs = max(0, now.run_count - before.run_count)
    spent_ns = max(0, now.run_time_ns - before.run_time_ns)
    return Rate(n_runs / interval_s, spent_ns / n_runs if n_runs else None)
