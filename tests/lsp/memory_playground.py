"""A playground in memory: a test says how probes do, and sees what was asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from linnix_ls.errors import PlaygroundError
from linnix_ls.playground.base import OwnProbes, ProbeHandle, ProbeReading

NOTHING = ProbeReading((), (), (), 0, 0.0, 0.0, 3600.0)
SHIPPED = OwnProbes(1, {})


@dataclass
class MemoryPlayground:
    """Implements `playground.base.Playground`.

    Attributes:
        calls: what was asked of it, in order; without the readings.
        refuses: a text that has this in it.
        reading, own_reading: how they do.
        grow: makes the n-th reading, in the place of `reading`.
    """

    calls: list[tuple] = field(default_factory=list)
    refuses: str = "bad"
    reading: ProbeReading = NOTHING
    own_reading: ProbeReading = NOTHING
    now: OwnProbes = SHIPPED
    n_readings: int = 0
    grow: Callable[[int], ProbeReading] | None = None

    def _take(self, *sources):
        if any(self.refuses in source for source in sources):
            raise PlaygroundError("line 1: it may be NULL", fix="check it first")

    async def load(self, dialect, name, source, *, ttl_s):
        self.calls.append(("load", name, source))
        self._take(source)
        self.reading = replace(self.reading, generation=1, problem=None, note=None)
        return ProbeHandle(f"p{len(self.calls)}", name, (), ttl_s)

    async def replace(self, probe_id, source, *, trial_s):
        self.calls.append(("replace", probe_id, source))
        self._take(source)
        generation = self.reading.generation + 1
        self.reading = replace(self.reading, generation=generation, note=None)
        return ProbeHandle(probe_id, "", (), 3600.0, generation)

    async def read(self, probe_id, since_event):
        self.n_readings += 1
        if self.grow:
            self.reading = replace(self.grow(self.n_readings), generation=self.reading.generation)
        return self.reading

    async def unload(self, probe_id):
        self.calls.append(("unload", probe_id))

    async def own(self):
        return self.now

    async def replace_own(self, files, *, trial_s):
        self.calls.append(("replace_own", dict(files)))
        self._take(*files.values())
        self.now = OwnProbes(self.now.generation + 1, dict(files), 0 if files else None)
        return self.now

    async def read_own(self):
        return replace(self.own_reading, generation=self.now.generation)

    async def knowledge(self):
        raise PlaygroundError("it knows nothing")
