"""Real processes under watch, and what a tracer tells of them."""

import asyncio
import subprocess
import sys

from linnix_ls import procfs
from linnix_ls.core.events import EventsLost, Execed, Exited, Forked, Sampled

PATIENCE_S = 30

# Waits for a word, then becomes the command: whoever watches it sees all of it.
_HELD = ("/bin/sh", "-c", 'echo held; read go; exec "$@"', "held")


class Witness:
    """Holds a tracer and everything it has delivered."""

    def __init__(self, tracer):
        self.tracer = tracer
        self.log = []
        self.failures = []
        self._news = asyncio.Event()

    async def start(self):
        await self.tracer.start(self._hear, self._hear_of_failure)
        return self

    def _hear_of_failure(self, reason):
        self.failures.append(reason)
        self._news.set()

    def _hear(self, events):
        self.log += events
        self._news.set()

    @property
    def n_lost(self):
        return sum(event.n_lost for event in self.log if isinstance(event, EventsLost))

    async def until(self, is_reached):
        """Wait for the log to satisfy a condition; a condition that never comes fails the test."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_reached():
                self._news.clear()
                await self._news.wait()

    async def run(self, *command, **popen):
        """What is told of `command`, from its first instruction to the last exit of its tree."""
        async with self.holding(*command, **popen) as held:
            await held.finish()
            return held.story

    async def python(self, script, *arguments, **popen):
        return await self.run(sys.executable, "-Sc", script, *arguments, **popen)

    def holding(self, *command, **popen):
        return Held(self, command, popen)


class Held:
    """A command that is watched, and begins when it is let go."""

    def __init__(self, witness, command, popen):
        self._witness = witness
        self._command = command
        self._popen = {"stderr": subprocess.DEVNULL, **popen}

    async def __aenter__(self):
        self.process = subprocess.Popen(
            [*_HELD, *map(str, self._command)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, **self._popen,
        )  # fmt: skip
        assert await self.read_line() == "held"  # its own exec is over now
        self.key = procfs.read_stat(self.process.pid).key
        self.seen = await self._witness.tracer.watch(self.key)
        self.story = Story(self._witness.log, len(self._witness.log), self.key)
        return self

    async def __aexit__(self, *_):
        self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def let_go(self):
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    async def read_line(self):
        return (await asyncio.to_thread(self.process.stdout.readline)).decode().strip()

    async def finish(self):
        """Let it go, and wait until all of its tree has ended and has been told."""
        if self.process.poll() is None and not self.story.execs:
            self.let_go()
        await asyncio.to_thread(self.process.wait)
        await self._witness.until(
            lambda: (
                {self.key, *(fork.key for fork in self.story.forks)}
                <= {end.key for end in self.story.exits}
            )
        )


class Story:
    """The events of one tree.

    Attributes:
        root: the command's own key.
    """

    def __init__(self, log, start, root):
        self._log, self._start, self.root = log, start, root

    @property
    def events(self):
        keys, told = {self.root}, []
        for event in self._log[self._start :]:
            if isinstance(event, Forked) and event.parent in keys:
                keys.add(event.key)
            if getattr(event, "key", None) in keys:
                told.append(event)
        return told

    def _of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def forks(self):
        return self._of(Forked)

    @property
    def execs(self):
        return self._of(Execed)

    @property
    def exits(self):
        return self._of(Exited)

    @property
    def samples(self):
        return self._of(Sampled)

    @property
    def end(self):
        """(exit code, signal) of the command itself."""
        [end] = [event for event in self.exits if event.key == self.root]
        return end.exit_code, end.term_signal
