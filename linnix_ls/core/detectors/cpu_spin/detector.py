"""A process that uses a CPU and gets nowhere.

Being busy is no crime: of a hundred processes that use a whole core, nearly all compile or
compute. So CPU time only raises a suspicion. What convicts is the absence of progress
(`detectors.stagnation`), or a compiler that is given ever more to do by one file.
"""

from __future__ import annotations

from collections.abc import Iterable

from linnix_ls.core.detectors.base import Scene, Suspicion, Verdict
from linnix_ls.core.detectors.stagnation import (
    Stagnation,
    common_evidence,
    is_calm,
    is_growing,
    stagnation,
    suspicions_of_the_busy,
)
from linnix_ls.core.examination import Examination
from linnix_ls.core.findings import Cause, Finding, Kind, Severity
from linnix_ls.core.ids import NS_PER_S
from linnix_ls.core.tree import Process, program_name

# The programs that do the work behind cc, c++, cargo and javac.
_COMPILERS = frozenset(
    "cc1 cc1plus cc1obj clang clang++ rustc ghc swift-frontend flang f951 dmd ldc2 zig".split()
)


class CpuSpinDetector:
    """See the module."""

    kind = Kind.CPU_SPIN

    def suspicions(self, scene: Scene) -> Iterable[Suspicion]:
        return suspicions_of_the_busy(scene, self.kind)

    def judge(self, scene: Scene, suspicion: Suspicion, examination: Examination) -> Verdict | None:
        process = scene.tree.get(suspicion.key)
        if process is None or examination.is_gone:
            return None
        found = stagnation(scene, process, examination)
        if found is not None and is_growing(scene, examination):
            return None  # a loop that keeps what it makes: when it is sure, that is another kind
        found = found or _exploding_compilation(scene, process, examination)
        if found is None:
            return None
        is_compilation = found.cause is Cause.COMPILE_BLOWUP
        return Verdict(
            kind=self.kind,
            cause=found.cause,
            # A large honest source may look like an explosion.
            severity=Severity.INFORMATION if is_compilation else Severity.WARNING,
            confidence=found.confidence,
            key=suspicion.key,
            onset_ns=process.started_ns if is_compilation else suspicion.onset_ns,
            evidence=found.evidence,
        )

    def is_over(self, scene: Scene, finding: Finding) -> bool:
        return is_calm(scene, scene.tree.get(finding.process.key))


def _exploding_compilation(
    scene: Scene, process: Process, examination: Examination
) -> Stagnation | None:
    """A compiler proper that has long been at one file and takes memory ever faster than source
    code accounts for: templates or macros that multiply."""
    policy = scene.policy.spin
    name = program_name(process.argv, process.comm)
    growth, rss = examination.rss_growth_bytes_per_s, examination.rss_bytes
    if name not in _COMPILERS or growth is None or rss is None or not examination.on_cpu_cores:
        return None
    age_s = (scene.now_ns - process.started_ns) / NS_PER_S
    growth_per_cpu_s = growth / examination.on_cpu_cores
    if (
        age_s < policy.compile_s * scene.load(age_s)
        or rss < policy.compile_rss_bytes
        or growth_per_cpu_s < policy.compile_growth_bytes_per_cpu_s
    ):
        return None
    evidence = common_evidence(examination)
    evidence.add("compiling_for", age_s, "s", "exec events")
    evidence.add("rss", rss / 1e6, "MB", "/proc/stat")
    evidence.add(
        "rss_growth_per_cpu_s", growth_per_cpu_s / 1e6, "MB/s", "/proc/stat", examination.window_s
    )
    return Stagnation(Cause.COMPILE_BLOWUP, 0.5, evidence)
