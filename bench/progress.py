"""How far a measurement is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# Steps take from a second to minutes: what is left is estimated from all that were made.
ESTIMATE_FROM_S = 24 * 3600


class Steps:
    """`n_total` steps, one after the other; use as a context manager.

    Each is announced by `begin`; `say` prints a line that stays.
    """

    def __init__(self, n_total: int, console: Console | None = None) -> None:
        self._console = console or Console(soft_wrap=True)
        self._n_total = n_total
        self._n_begun = 0
        self._began_s = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("about"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self._console,
            speed_estimate_period=ESTIMATE_FROM_S,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=n_total)

    def begin(self, what: str) -> None:
        """A step begins, and so the one before has been made."""
        n_made = self._n_begun
        self._n_begun += 1
        self._bar.update(self._task, description=what, completed=n_made)
        if not self._console.is_terminal:
            self.say(f"{self._n_begun}/{self._n_total}  {what}  ({self._times(n_made)})")

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False)

    def _times(self, n_made: int) -> str:
        elapsed_s = time.monotonic() - self._began_s
        said = f"{_clock(elapsed_s)} elapsed"
        if n_made:
            left_s = elapsed_s / n_made * (self._n_total - n_made)
            said += f", about {_clock(left_s)} left"
        return said

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
