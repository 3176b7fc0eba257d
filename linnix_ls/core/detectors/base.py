"""What a detector is given and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from linnix_ls.core.examination import Depth, Examination
from linnix_ls.core.findings import Cause, Evidence, Finding, Kind, Severity
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.policy import Policy
from linnix_ls.core.tree import Process, ProcessTree


@dataclass(frozen=True, slots=True)
class Scene:
    """The moment at which a detector looks.

    Attributes:
        loads: of the whole machine, lately: (ktime_ns, tasks that run or wait, for each CPU).
        history: what earlier looks at the suspect saw, (ktime_ns, examination), oldest first.
        ended_runs: the outermost processes of runs that are over.
        in_turn: of the living those whose turn it is: where there are many, who wants to look at
            each of them looks at some in each scene.
        run_of: the outermost process of the run that a process belongs to, None outside runs.
        is_found: whether that was found before of the process, or of the run it is outermost in.
    """

    tree: ProcessTree
    policy: Policy
    now_ns: int
    n_cpus: int
    loads: Sequence[tuple[int, float]]
    ended_runs: Mapping[ProcessKey, Process]
    in_turn: Sequence[Process]
    run_of: Callable[[ProcessKey], Process | None]
    is_found: Callable[[Kind, ProcessKey], bool]
    history: tuple[tuple[int, Examination], ...] = ()

    def load(self, window_s: float) -> float:
        """How many tasks there were for each CPU, on average over the last seconds; at least one,
        also when unknown. Thresholds scale by it: of a loaded machine everybody gets less."""
        since_ns = self.now_ns - window_s * NS_PER_S
        recent = [max(1.0, load) for at, load in self.loads if at >= since_ns]
        return sum(recent) / len(recent) if recent else 1.0


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A process worth a closer look.

    Attributes:
        weight: of several, the heaviest are looked at first.
        onset_ns: when what is suspected began.
        child_argv: what it starts, of a storm.
    """

    kind: Kind
    key: ProcessKey
    depth: Depth
    onset_ns: int
    weight: float
    child_argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Runaway. (Not one: the detector answers None.)

    Attributes:
        key: the process to accuse; not always the one that was examined.
    """

    kind: Kind
    cause: Cause
    severity: Severity
    confidence: float
    key: ProcessKey
    onset_ns: int
    evidence: EvidenceList


class Detector(Protocol):
    """Stateless: everything it knows is in the scene."""

    kind: Kind

    def suspicions(self, scene: Scene) -> Iterable[Suspicion]:
        """Cheap: called several times a second, looks at what is at hand."""
        ...

    def judge(self, scene: Scene, suspicion: Suspicion, examination: Examination) -> Verdict | None:
        """Runaway, or busy (None)."""
        ...

    def is_over(self, scene: Scene, finding: Finding) -> bool:
        """Whether what was found has calmed down. Called while the finding is raised."""
        ...


@dataclass(slots=True)
class EvidenceList:
    """Numbers evidence as it is added. A value of None is not known and adds nothing."""

    _items: list[Evidence] = field(default_factory=list)

    def add(
        self,
        name: str,
        value: float | str | None,
        unit: str,
        source: str,
        window_s: float | None = None,
    ) -> None:
        if value is None:
            return
        if isinstance(value, float):
            value = _rounded(value, unit)
        self._items.append(
            Evidence(
                id=f"e{len(self._items) + 1}",
                name=name,
                value=value,
                unit=unit,
                window_s=round(window_s, 2) if window_s is not None else None,
                source=source,
            )
        )

    def items(self) -> tuple[Evidence, ...]:
        return tuple(self._items)


def _rounded(value: float, unit: str) -> float:
    """To as many digits as mean something, as people read them."""
    match unit:
        case "share":
            return round(value, 3)
        case "cores":
            return round(value, 2)
        case "s":
            return round(value, 1)
    value = float(f"{value:.3g}")
    return int(value) if value.is_integer() and abs(value) >= 100 else value
