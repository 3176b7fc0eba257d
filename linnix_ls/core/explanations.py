"""Every finding in words, from its own evidence and place; nothing that is not in it.

Any finding will do, also one that comes from a document, lacks evidence, or names a cause that its
kind does not have. What is said of each kind is in the `words` module beside its detector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from linnix_ls.core.detectors.cpu_spin import words as cpu_spin
from linnix_ls.core.detectors.fork_storm import words as fork_storm
from linnix_ls.core.detectors.languages import Advice
from linnix_ls.core.detectors.leaked_child import words as leaked_child
from linnix_ls.core.detectors.memory_runaway import words as memory_runaway
from linnix_ls.core.detectors.stuck import words as stuck
from linnix_ls.core.detectors.wording import SURE, Facts, Words, is_sure, sentences, summary
from linnix_ls.core.findings import Explanation, Finding, Kind

_WORDS: Mapping[Kind, Callable[[Facts], Words]] = {
    Kind.CPU_SPIN: cpu_spin.words,
    Kind.FORK_STORM: fork_storm.words,
    Kind.STUCK: stuck.words,
    Kind.LEAKED_CHILD: leaked_child.words,
    Kind.MEMORY_RUNAWAY: memory_runaway.words,
}
# All advice there is: the only lines of a fix.
ADVICE: tuple[Advice, ...] = (
    *cpu_spin.ADVICE,
    *fork_storm.ADVICE,
    *stuck.ADVICE,
    *leaked_child.ADVICE,
    *memory_runaway.ADVICE,
)
_UNKNOWN = (
    "What decided is not part of this finding, so nothing is said here of why it was reported."
)
_CHECK = (
    "First see whether it is so: run it again under linnix-ls, which measures it anew. If it is,"
    " this mostly helps."
)


_ELSEWHERE = (
    "No file of yours is involved as far as can be seen: it could also be another program's doing,"
    " or meant so."
)


def explain(finding: Finding) -> Explanation:
    """Never fails, and takes well under a millisecond."""
    facts = Facts(finding)
    words = _WORDS[finding.kind](facts)
    predicate, why, fix = words.predicate, words.why, words.fix
    if not predicate:
        kind, cause = (name.replace("_", " ") for name in (finding.kind, finding.cause))
        predicate = f"was reported as {kind} ({cause}); what decided is not known here"
        why, fix = sentences(_UNKNOWN, why), (_CHECK, *fix)
    otherwise = "" if is_sure(finding) else words.otherwise
    if otherwise and finding.location is None and finding.confidence >= SURE:
        otherwise = _ELSEWHERE
    return Explanation(
        by="rules",
        summary=summary(finding, predicate),
        why=why or "More than that was not measured.",
        fix=fix,
        cites=facts.cites,
        otherwise=otherwise,
    )
