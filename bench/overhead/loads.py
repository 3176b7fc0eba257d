"""What is watched: small loads, each a stress of one thing, and two real pieces of work.

The small ones do one thing as often as takes `SMALL_LOAD_S` of CPU time here, under nothing.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import works
from bench.works import Work

# Long enough for suspicion, and so for the close looks that come of it.
SMALL_LOAD_S = 1.0
_FIRST_COUNTS = {
    "fork": 500,
    "exec": 150,
    "syscalls": 200_000,
    "switches": 40_000,
    "compute": 10**8,
}
_ABOUT_SMALL = {
    "fork": "forks, whose children end at once",
    "exec": "forks and execs of a small program",
    "syscalls": "a byte read from a file",
    "switches": "a byte to another process and back, on one CPU",
    "compute": "shifts and xors",
}
NOT_OURS = ("PYTEST_", "PYTHON", "VIRTUAL_ENV", "MAKE")


def _prepare_build(folder: Path) -> None:
    works.fetch_sdist("zlib-ng", "1.1.0", folder / "sdist")
    [archive] = (folder / "sdist").iterdir()
    works.run("tar", "-xf", archive, "-C", folder)
    [source] = folder.glob("zlib*/src/zlib_ng/zlib-ng")
    shutil.copytree(source, folder / "work", dirs_exist_ok=True)
    works.run("./configure", "--static", cwd=folder / "work")


REAL = (
    Work(
        "overhead-build",
        "make -j2 of the library zlib-ng",
        _prepare_build,
        ("make", "-j2", "libz-ng.a"),
    ),
    replace(
        works.python_suite("jinja2", "3.1.6", "the test suite of Jinja2"), name="overhead-suite"
    ),
)


@dataclass(frozen=True, slots=True)
class Load:
    """Something to be timed.

    Attributes:
        fresh: the folder of which each run gets a copy as its working directory.
        count: how often a small one does its thing; its last argument.
    """

    name: str
    about: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    fresh: Path | None = None
    count: int | None = None

    def part(self, divisor: int) -> Load:
        """A small one that does so much less; others as they are."""
        if self.count is None:
            return self
        count = max(1, self.count // divisor)
        return replace(self, command=(*self.command[:-1], str(count)), count=count)

    def times_of(self, part: Load) -> float:
        """How many such parts this is."""
        return self.count / part.count if self.count and part.count else 1.0


@dataclass(frozen=True, slots=True)
class Timing:
    """What the stopwatch says: of the load's own tree, but for `busy_ns`: of the whole machine."""

    wall_ns: int
    cpu_ns: int
    busy_ns: int

    def times(self, factor: float) -> Timing:
        return Timing(*(round(ns * factor) for ns in (self.wall_ns, self.cpu_ns, self.busy_ns)))


class Workshop:
    """Loads that can be run in a scratch folder, and their stopwatch."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._n_scripts = 0
        self._stopwatch = _compiled("stopwatch", scratch)
        self._load = _compiled("load", scratch)

    def small_loads(self) -> list[Load]:
        """Runs them, to find out how often."""
        loads = []
        for name, first in _FIRST_COUNTS.items():
            [timing] = self.timed([self._small(name, first)])
            count = max(1, round(first * SMALL_LOAD_S * 1e9 / timing.cpu_ns))
            loads.append(self._small(name, count))
        return loads

    def _small(self, name: str, count: int) -> Load:
        about = f"{count:,} × {_ABOUT_SMALL[name]}"
        return Load(name, about, (str(self._load), name, str(count)), os.environ, count=count)

    def real_loads(self) -> list[Load]:
        """Fetches and makes what they need, once.

        Raises:
            CannotPrepare: something could not be had.
        """
        return [self._real(work, works.prepared(work)) for work in REAL]

    def _real(self, work: Work, folder: Path) -> Load:
        kept = {name: v for name, v in os.environ.items() if not name.startswith(NOT_OURS)}
        return Load(
            name=work.name.removeprefix("overhead-"),
            about=work.about,
            command=tuple(word.replace("{prepared}", str(folder)) for word in work.command),
            environment={**kept, **work.environment},
            fresh=folder / "work",
        )

    def script(self, loads: Sequence[Load]) -> Script:
        """A program that runs these one after the other, each timed."""
        self._n_scripts += 1
        folder = self._scratch / f"run{self._n_scripts}"
        folder.mkdir()
        lines = ["set -eu"]
        for load in loads:
            workdir = folder / load.name
            if load.fresh is None:
                workdir.mkdir()
            else:
                shutil.copytree(load.fresh, workdir, symlinks=True)
            lines.append(f"cd {shlex.quote(str(workdir))}")
            command = [str(self._stopwatch), str(folder / f"{load.name}.json"), *load.command]
            lines.append(f"{shlex.join(command)} >{workdir}.log 2>&1 </dev/null")
        path = folder / "script"
        path.write_text("\n".join(lines) + "\n")
        return Script(folder, tuple(loads))

    def timed(self, loads: Sequence[Load]) -> list[Timing]:
        """Run them under nothing."""
        script = self.script(loads)
        subprocess.run(script.command, env=loads[0].environment, check=True)
        return script.timings()


@dataclass(frozen=True, slots=True)
class Script:
    """One run of some loads; to be used once."""

    folder: Path
    loads: tuple[Load, ...]

    @property
    def command(self) -> tuple[str, ...]:
        return ("sh", str(self.folder / "script"))

    @property
    def environment(self) -> Mapping[str, str]:
        return self.loads[0].environment

    def timings(self) -> list[Timing]:
        """Of each, and what they made is removed.

        Raises:
            OSError: one has not come to its end.
        """
        files = [self.folder / f"{load.name}.json" for load in self.loads]
        timings = [Timing(**json.loads(file.read_text())) for file in files]
        shutil.rmtree(self.folder)
        return timings


def _compiled(name: str, folder: Path) -> Path:
    source = Path(__file__).with_name(f"{name}.c")
    works.run("cc", "-O2", "-Wall", "-o", folder / name, source)
    return folder / name
