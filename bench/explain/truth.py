"""Whether an explanation keeps to its finding: numbers, places, and what kind of thing it is.

Works on any text about a finding, whoever wrote it. What is checked is necessary for truth, not
enough: true numbers can be put together to something false.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from linnix_ls.core.detectors.wording import (
    function_of,
    place_of,
    program_of,
    quoted,
    spelled,
)
from linnix_ls.core.findings import Cause, Evidence, Explanation, Finding, Kind

# A number by itself: not the 4 of wait4.
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?%?")
_PLACE = re.compile(r"([\w.+-]+\.\w+):(\d+)")
# What the word after a number says of its unit.
_UNITS = {
    "s": {"s"},
    "MB": {"MB", "MB/s"},
    "core": {"cores"},
    "cores": {"cores"},
    "looks": {"looks"},
    "samples": {"samples"},
    "states": {"states"},
    "state": {"states"},
    "starts": {"starts/s"},
    "system": {"calls/s"},
    "copies": {"processes"},
    "copy": {"processes"},
    "processes": {"processes", "starts/s"},
    "process": {"processes"},
    "threads": {"threads"},
    "CPUs": {"cpus"},
    "CPU": {"cpus"},
}

_DENIAL = re.compile(
    r"\b(harmless|nothing (to fix|to do|to worry about|is wrong)|no (problem|runaway|bug|action)\b"
    r"|not a (problem|bug|runaway|concern)|mak(es|ing) progress|works? as (intended|expected)"
    r"|false (alarm|positive)|legitimate|expected behaviou?r|(can|may) be ignored|safe to ignore"
    r"|(is|looks) (fine|normal|healthy|innocent))",
    re.IGNORECASE,
)
_OF_KIND = {
    Kind.CPU_SPIN: r"goes round|tries for a lock|spins\b",
    Kind.FORK_STORM: r"fork storm|forks\b|from within|starts? (itself|\S+ again and again)",
    Kind.STUCK: r"\bhangs\b|wait(s|ing)? for each other|deadlock|used no CPU",
    Kind.LEAKED_CHILD: r"(after|though) its run|outlive|left behind|orphan",
    Kind.MEMORY_RUNAWAY: r"collects|MB more each second|out of memory",
}
_OF_CAUSE = {
    Cause.LOCK_SPIN: r"for a lock again|spin ?lock",
    Cause.REGEX_BACKTRACKING: r"regular expression|backtrack|\bmatch is\b",
    Cause.COMPILE_BLOWUP: r"compiler|template",
    Cause.RECURSIVE_MAKE: r"recursive make",
    Cause.WORKER_OVERSUBSCRIPTION: r"more workers than|oversubscri",
    Cause.RETRY_LOOP: r"of the tries fail|\bretr(y|ies)\b",
    Cause.PIPE_DEADLOCK: r"\bin a pipe\b",
    Cause.ORPHAN_SERVER: r"accepts connections",
}


def unsupported_numbers(finding: Finding, explanation: Explanation) -> list[str]:
    """Numbers that no evidence which it cites holds, or that are in another unit there."""
    return [
        number
        for text in _texts(explanation)
        for number in unsupported_in(text, finding, explanation.cites)
    ]


def unsupported_in(text: str, finding: Finding, cites: Iterable[str]) -> list[str]:
    """The same for a single text."""
    cited = [piece for piece in finding.evidence if piece.id in set(cites)]
    found = []
    masked = _without_names(text, finding, cited)
    for match in _NUMBER.finditer(masked):
        number = match[0].rstrip(",")
        units = {piece.unit for piece in cited if spelled(piece) == number}
        after = re.match(r"\s*(\w+)", masked[match.end() :])
        wanted = _UNITS.get(after[1]) if after and not number.endswith("%") else None
        if not units or (wanted and not units & wanted):
            found.append(number)
    return found


def unknown_places(finding: Finding, explanation: Explanation) -> list[str]:
    """Places ("pump.py:41") that the finding does not name."""
    places = [(other.path, other.line) for other in finding.other_locations]
    if finding.location:
        places.append((finding.location.path, finding.location.line))
    known = {f"{path.rsplit('/', 1)[-1]}:{line}" for path, line in places}
    return [
        match[0]
        for text in _texts(explanation)
        for match in _PLACE.finditer(text)
        if match[0] not in known and not re.fullmatch(r"[\d.]+:\d+", match[0])
    ]


def contradictions(finding: Finding, explanation: Explanation) -> list[str]:
    """Words that deny the verdict, or are those of another kind or cause."""
    everything = " ".join(_texts(explanation, with_otherwise=False))
    found = [match[0] for match in _DENIAL.finditer(_without_names(everything, finding))]
    told = _without_names(f"{explanation.summary} {explanation.why}", finding)
    wrong = [words for kind, words in _OF_KIND.items() if kind is not finding.kind]
    wrong += [words for cause, words in _OF_CAUSE.items() if cause is not finding.cause]
    return found + [match[0] for words in wrong for match in re.finditer(words, told)]


def citation_coverage(finding: Finding, explanation: Explanation) -> float:
    """Of the numbers that it gives, the share that evidence which it cites holds. Who gives none
    and cites none though there is evidence covers nothing."""
    cited = [piece for piece in finding.evidence if piece.id in explanation.cites]
    numbers = [
        match[0]
        for text in _texts(explanation)
        for match in _NUMBER.finditer(_without_names(text, finding, cited))
    ]
    if not numbers:
        return 1.0 if cited or not finding.evidence else 0.0
    return 1 - len(unsupported_numbers(finding, explanation)) / len(numbers)


def _texts(explanation: Explanation, *, with_otherwise: bool = True) -> Iterator[str]:
    yield explanation.summary
    yield explanation.why
    if with_otherwise:
        yield explanation.otherwise
    yield from explanation.fix


def _without_names(text: str, finding: Finding, cited: Iterable[Evidence] | None = None) -> str:
    """What things are called may have digits and words in it."""
    names = [place_of(finding), function_of(finding), program_of(finding)]
    if finding.location:
        names.append(place_of(finding).rsplit(" ", 1)[-1])
    names += [word for word in finding.process.argv if re.search(r"[^\W\d]", word)]
    pieces = finding.evidence if cited is None else cited
    for piece in pieces:
        if isinstance(piece.value, str):
            names += [piece.value, quoted(piece.value)]
            names += [quoted(piece.value)[:1].upper() + quoted(piece.value)[1:]]
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "", text)
    return re.sub(rf"\bprocess {finding.process.key.pid}\b", "", text)
