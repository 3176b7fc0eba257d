"""Evidence as words. A sentence is a template that names the evidence it tells of:

    facts.say("It grows by {rss_growth} MB a second and is at {rss} MB.")

It is said only if all of that evidence is there, and then it is remembered as cited; else it is
empty. So nothing can be said of what was not measured, and no number comes from anywhere else.
What is said about each kind of finding is in the `words` module beside its detector.
"""

from __future__ import annotations

import re
from string import Formatter
from typing import NamedTuple

from linnix_ls.core.detectors.languages import is_spawn_site, language_of
from linnix_ls.core.findings import Evidence, Finding, Kind, Severity
from linnix_ls.core.text import visible
from linnix_ls.core.tree import program_name

# Evidence in another unit is not what the words are about.
UNITS = {
    "advancing_registers": "words",
    "advancing_words": "words",
    "busy_copies": "processes",
    "command": "name",
    "commands_in_round": "commands",
    "commonest_path": "path",
    "commonest_syscall": "name",
    "commonest_syscall_share": "share",
    "compiling_for": "s",
    "copies_alive": "processes",
    "cpus": "cpus",
    "distinct_conditions": "conditions",
    "distinct_lines": "lines",
    "distinct_rounds": "rounds",
    "distinct_states": "states",
    "failed_exits_share": "share",
    "forks_without_exec_share": "share",
    "fruitless_share": "share",
    "idle_s": "s",
    "interpreter_share": "share",
    "listens_at": "address",
    "looks": "looks",
    "looks_at_match": "looks",
    "looks_at_registers": "looks",
    "loop_calls": "names",
    "new_registers_share": "share",
    "on_cpu_cores": "cores",
    "outlived_run_s": "s",
    "paths": "paths",
    "processes_waiting": "processes",
    "program": "name",
    "read_pages": "pages",
    "recursion_depth": "processes",
    "repeated_growth": "share",
    "returns": "returns",
    "rss": "MB",
    "rss_bytes": "bytes",
    "rss_growth": "MB/s",
    "rss_growth_per_cpu_s": "MB/s",
    "runnable_cores": "cores",
    "same_command_share": "share",
    "samples": "samples",
    "starts": "processes",
    "starts_per_s": "starts/s",
    "syscalls_per_s": "calls/s",
    "threads_waiting": "threads",
    "top_leaves_share": "share",
    "unfinished_call": "kind",
    "wait": "wait",
}
# Units that the names of evidence do not tell.
_UNITS_SAID = frozenset({"s", "MB", "MB/s", "bytes"})
# Below it, what else a finding could be is said, too.
SURE = 0.8
_MAX_TEXT = 120
_MIN_CONFIDENCE = 0.4  # below, a place is just the nearest one known
_MAX_VALUE = 1e15  # beyond it is no measurement
_PLAIN = re.compile(r"[\w.+:/@=,\[\]()\\ -]+")
_ORDER = re.compile(r"\d+|\D+")


class Words(NamedTuple):
    """What a kind's `words` module says.

    Attributes:
        predicate: of the summary, after the place: begins with the verb, no full stop. Empty when
            what decided is not known.
        otherwise: what else it could be, for a finding that is not sure.
    """

    predicate: str
    why: str
    fix: tuple[str, ...]
    otherwise: str


class Facts:
    """What is known about a finding, and what of it has been said."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        self._cited: set[str] = set()
        self._pieces: dict[str, list[Evidence]] = {}
        # In the order of their ids, whichever they come in.
        for piece in sorted(finding.evidence, key=lambda piece: _natural(piece.id)):
            if UNITS.get(piece.name) == piece.unit and spelled(piece) is not None:
                self._pieces.setdefault(piece.name, []).append(piece)

    def is_known(self, name: str) -> bool:
        return name in self._pieces

    def number(self, name: str) -> float | None:
        """A measured value, to decide by; None when it is not known."""
        piece = self._piece(name)
        return None if piece is None or isinstance(piece.value, str) else piece.value

    def text(self, name: str) -> str | None:
        """A name or a path as it was seen, to decide by; None when it is not known."""
        piece = self._piece(name)
        return piece.value if piece is not None and isinstance(piece.value, str) else None

    def say(self, template: str, /, *also: str, **words: str) -> str:
        """The template with its evidence filled in; empty unless all of it is known.

        `{copies_alive:copy|copies}` counts: "1 copy", "6 copies". `{wait.1}` is the second of
        that name.

        Args:
            also: evidence that the sentence rests on without giving its value.
            words: to be filled in that are no evidence.
        """
        said, used = [], []
        for literal, field, form, _ in Formatter().parse(template):
            said.append(literal)
            if field in words:
                said.append(words[field])
            elif field is not None:
                piece = self._piece(field)
                value = spelled(piece) if piece is not None else None
                if piece is None or value is None:
                    return ""
                used.append(piece.id)
                one, _, many = (form or "").partition("|")
                said.append(value + (f" {one if value == '1' else many}" if form else ""))
        for name in also:
            piece = self._piece(name)
            if piece is None:
                return ""
            used.append(piece.id)
        self._cited.update(used)
        return "".join(said)

    def first(self, *templates: str, **words: str) -> str:
        """The first of them that can be said."""
        return next(filter(None, (self.say(template, **words) for template in templates)), "")

    @property
    def cites(self) -> tuple[str, ...]:
        return tuple(sorted(self._cited, key=_natural))

    def _piece(self, name: str) -> Evidence | None:
        name, _, index = name.partition(".")
        pieces = self._pieces.get(name, [])
        at = int(index or 0)
        return pieces[at] if at < len(pieces) else None


def spelled(piece: Evidence) -> str | None:
    """How a value is written in a sentence ("98.5%", "12,300", "epoll_wait"); None for what is no
    value."""
    value = piece.value
    if isinstance(value, str):
        return quoted(value) if value.strip() else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None  # a document may hold anything
    if not 0 <= value <= _MAX_VALUE:  # nor is NaN
        return None
    if piece.unit == "share":
        return _without_zeros(f"{value * 100:.1f}") + "%"
    return _without_zeros(f"{value:,.3f}")


def label_of(piece: Evidence) -> str:
    """What was measured, in words: "on cpu cores", "failed exits", "starts per s"."""
    name = piece.name.removesuffix("_share").removesuffix("_s" if piece.unit == "s" else "")
    return visible(name.replace("_", " "), _MAX_TEXT)


def value_of(piece: Evidence) -> str:
    """A value by itself, with its unit unless the label has it: "0.92", "100%", "418.9 MB"."""
    said = spelled(piece) or visible(str(piece.value), _MAX_TEXT)
    return f"{said} {piece.unit}" if piece.unit in _UNITS_SAID else said


def _without_zeros(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def quoted(text: str, max_chars: int = _MAX_TEXT) -> str:
    """Text of foreign origin for a sentence: on one line, of bounded length, and in quotes if it
    could be taken for words of ours."""
    shown = visible(" ".join(text.split()), max_chars)
    return shown if _PLAIN.fullmatch(shown) and ". " not in shown else f"“{shown}”"


def function_of(finding: Finding) -> str | None:
    """The function's name as it is said; None of those that have none ("<module>", "main" of a
    shell script without functions)."""
    name = finding.location.function if finding.location else None
    if not name or (name == "main" and language_of(finding) == "shell"):
        return None
    for _ in range(3):  # template arguments, innermost first
        name = re.sub(r"\w<[^<>]*>", lambda match: match[0][0], name)
    name = visible(name, _MAX_TEXT)
    return name if re.fullmatch(r"[\w$.:~#]*[\w$]", name) else None


def place_of(finding: Finding) -> str:
    """ "drain() at pump.py:41"; empty when no place is known."""
    location = finding.location
    if location is None:
        return ""
    place = f"{quoted(location.path.rsplit('/', 1)[-1])}:{location.line}"
    function = function_of(finding)
    return f"{function}() at {place}" if function else place


def program_of(finding: Finding) -> str:
    """What a person calls the process."""
    name = program_name(finding.process.argv, finding.process.comm)
    return quoted(name, 40) if name else "a program"


def has_place(finding: Finding) -> bool:
    """Whether a place is known that what is said can be said of."""
    return finding.location is not None and finding.location.confidence >= _MIN_CONFIDENCE


def summary(finding: Finding, predicate: str) -> str:
    """One sentence with its subject: the place, or the program where that is in no known one.

    Args:
        predicate: begins with the verb, ends without a full stop.
    """
    process = f"process {finding.process.key.pid}"
    place = place_of(finding)
    if finding.kind is not Kind.LEAKED_CHILD and is_spawn_site(finding):
        return f"{program_of(finding)} ({process}), started by {place}, {predicate}"
    if has_place(finding):
        return f"{place} {predicate} ({process})"
    near = f", near {place}," if place else ""
    return f"{program_of(finding)} ({process}){near} {predicate}"


def sentences(*clauses: str) -> str:
    """Those that have something to say, as a text."""
    return " ".join(clause[:1].upper() + clause[1:] for clause in clauses if clause)


def is_sure(finding: Finding) -> bool:
    return finding.confidence >= SURE and finding.severity.rank < Severity.INFORMATION.rank


def _natural(identifier: str) -> tuple[tuple[int, str], ...]:
    """For sorting: e2 before e10."""
    return tuple((len(part) if part.isdigit() else 0, part) for part in _ORDER.findall(identifier))
