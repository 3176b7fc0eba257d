"""What a detector is given and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from linnix_ls.core.examination import Depth, Examination
from linnix_ls.core.findings import Cause, Evidence, Explanation, Finding, Kind, Severity
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
        run_of: the outermost process of the run that a process belongs to, None outside runs.
    """

    tree: ProcessTree
    policy: Policy
    now_ns: int
    n_cpus: int
    loads: Sequence[tuple[int, float]]
    ended_runs: tuple[Process, ...]
    run_of: Callable[[ProcessKey], Process | None]
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
    evidence: tuple[Evidence, ...]


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

    def explain(self, finding: Finding) -> Explanation:
        """Words from the finding's own evidence and place; nothing that is not in it."""
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
            value = round(value, 3 if abs(value) < 10 and unit != "s" else 1)
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


def evidence_named(finding: Finding, name: str) -> Evidence | None:
    """The first piece of evidence of that name."""
    return next((piece for piece in finding.evidence if piece.name == name), None)


class Citations:
    """Values of a finding's evidence as words, remembering which were used."""

    def __init__(self, finding: Finding) -> None:
        self._finding = finding
        self._ids: list[str] = []

    def __getitem__(self, name: str) -> str | None:
        """The value as text ("98.5%", "12,300"), None when there is no such evidence."""
        piece = evidence_named(self._finding, name)
        if piece is None:
            return None
        if piece.id not in self._ids:
            self._ids.append(piece.id)
        if piece.unit == "share" and isinstance(piece.value, float):
            return f"{piece.value:.1%}".replace(".0%", "%")
        return f"{piece.value:,}" if isinstance(piece.value, (int, float)) else piece.value

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._ids)


def where(finding: Finding) -> str:
    """ " in drain() at pump.py:41", or nothing when no place is known."""
    location = finding.location
    if location is None:
        return ""
    place = f"{location.path.rsplit('/', 1)[-1]}:{location.line}"
    # "<module>", "<lambda>", "operator()": names of things that have none.
    if not location.function or not location.function[-1].isalnum():
        return f" at {place}"
    return f" in {location.function}() at {place}"
