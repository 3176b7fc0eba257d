"""What of a model's answer is shown: nothing that the finding and the source do not bear out.

A model can say something false of true facts, so it is not enough that names and numbers occur.
A note passes when it agrees with the verdict, names no other cause, has only numbers of the
evidence with their unit, only places and names that exist, advice that fits the cause, and
nothing that is stated without having been measured. When in doubt it is refused: the rules' own
explanation stands without it.

Not here: what a patch may do (`patches`), and what words there are (`vocabulary`).
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from linnix_ls.core.findings import (
    Cause,
    Evidence,
    Explanation,
    Finding,
    Note,
    OtherLocation,
    Patch,
    SourceLocation,
)
from linnix_ls.core.text import visible
from linnix_ls.explain.base import Excerpt, RefusedProbe, ToldFunction
from linnix_ls.explain.patches import BadPatch, patch_from
from linnix_ls.explain.prompt import (
    FIRST_OF_CHANGE,
    LAST_OF_CHANGE,
    MIDDLE_OF_CHANGE,
    told_lines,
)
from linnix_ls.explain.redaction import HIDDEN
from linnix_ls.explain.vocabulary import (
    API_WORDS,
    AROUND_THE_VERIFIER,
    BOLD_CLAIMS,
    CAUSE_WORDS,
    CLAIMS,
    CONTRADICTIONS,
    ECHOES,
    GUESSES,
    IMPERATIVES,
    KEYWORDS,
    LOOP_WORDS,
    NEUTRAL,
    NO_REMEDY,
    NO_WAIT,
    REASONS,
    REMEDIES,
    TOPICS,
    UNIT_WORDS,
    WRONG_REMEDIES,
)

MAX_ANSWER_CHARS = 10_000
MAX_NOTE_CHARS = 400
MAX_PROSE_CHARS = 1_200
MIN_NOTE_WORDS = 4
_ENDS = ".!)`\"'"


class Reason(enum.StrEnum):
    """Why an answer, or its patch, is not shown; for counting."""

    NOT_JSON = "not_json"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    UNSAFE_TEXT = "unsafe_text"
    NOT_PROSE = "not_prose"
    ECHO = "echo"
    CONTRADICTS_VERDICT = "contradicts_verdict"
    GUESS = "guess"
    OTHER_CAUSE = "other_cause"
    UNKNOWN_NUMBER = "unknown_number"
    UNKNOWN_PLACE = "unknown_place"
    UNKNOWN_IDENTIFIER = "unknown_identifier"
    UNKNOWN_CITATION = "unknown_citation"
    UNMEASURED = "unmeasured"
    WRONG_REMEDY = "wrong_remedy"
    NOT_SPECIFIC = "not_specific"
    BAD_PATCH = "bad_patch"


@dataclass(frozen=True, slots=True)
class Refusal:
    """`detail` says what it was, for who wants to know; it is visible text, not the answer."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What is left of an answer. A note may come with a refusal: that of its patch."""

    note: Note | None
    refusals: tuple[Refusal, ...] = ()


def check(
    answer_text: str,
    model: str,
    finding: Finding | RefusedProbe | ToldFunction,
    excerpt: Excerpt | None,
    *,
    is_free_prose: bool,
) -> Note | Refusal:
    """The note, without its patch when that may not be tried; or why there is none."""
    checked = examine(answer_text, model, finding, excerpt, is_free_prose=is_free_prose)
    return checked.note or checked.refusals[0]


def examine(
    answer_text: str,
    model: str,
    finding: Finding | RefusedProbe | ToldFunction,
    excerpt: Excerpt | None,
    *,
    is_free_prose: bool,
) -> Checked:
    """As `check`, with all that was refused."""
    try:
        answer = (_prose if is_free_prose else _json)(answer_text)
    except _Refused as refused:
        return Checked(None, (refused.refusal,))
    grounds = _grounds(finding)
    patch: Patch | None = None
    refusals: list[Refusal] = []
    if not isinstance(finding, ToldFunction) and (answer.old.strip() or answer.new.strip()):
        try:
            patch = _helping(patch_from(answer.old, answer.new, model, finding, excerpt), grounds)
        except BadPatch as bad:
            refusals.append(Refusal(Reason.BAD_PATCH, visible(str(bad), 200)))
    first: Refusal | None = None
    for note in (answer.note, *([] if is_free_prose else _main_clause(answer.note))):
        reader = _Reader(grounds, excerpt, patch)
        try:
            text, cites = reader.read(replace(answer, note=note), is_free_prose=is_free_prose)
        except _Refused as error:
            first = first or error.refusal
            if first.reason not in _OF_A_CLAUSE or CONTRADICTIONS.search(answer.note):
                break
        else:
            return Checked(Note(model, text, cites, patch), tuple(refusals))
    assert first is not None
    return Checked(None, (first, *refusals))


def _helping(patch: Patch, grounds: _Grounds) -> Patch:
    """The patch, unless it asks again where it should wait.

    Raises:
        BadPatch: it does.
    """
    if grounds.cause in (Cause.BUSY_POLL, Cause.LOCK_SPIN):
        for edit in patch.edits:
            before = NO_WAIT.findall(edit.old)
            if any(again not in before for again in NO_WAIT.findall(edit.new)):
                raise BadPatch("it asks again instead of waiting")
    return patch


# What may be wrong with the end of a sentence, of which the beginning is of use.
_OF_A_CLAUSE = frozenset((Reason.UNMEASURED, Reason.UNKNOWN_NUMBER))
_CLAUSE = re.compile(r"\.\s|,? (?:which|so that|allowing|making)\b")


def _main_clause(note: str) -> list[str]:
    """What a note says to do, without what it says of that; nothing if there is no more."""
    end = _CLAUSE.search(note)
    return [note[: end.start()].rstrip() + "."] if end else []


class _Refused(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal(reason, visible(detail, 200))


# -- taking the answer apart ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Answer:
    note: str
    cites: tuple[str, ...] = ()
    old: str = ""
    new: str = ""


_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL)
_CITATION = re.compile(r"\s?\[(e\d{1,3}(?:,\s?e\d{1,3}){0,9})\]")


def _json(text: str) -> _Answer:
    if len(text) > MAX_ANSWER_CHARS:
        raise _Refused(Reason.TOO_LONG, f"{len(text)} characters")
    text = text.strip()
    if fenced := _FENCED.fullmatch(text):
        text = fenced[1]
    try:
        fields = json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        fields = _cut_off(text)
        if fields is None:
            raise _Refused(Reason.NOT_JSON, str(error)) from None
    if not isinstance(fields, dict) or not isinstance(fields.get("note"), str):
        raise _Refused(Reason.NOT_JSON, "there is no note")
    old, new, cites = fields.get("old") or "", fields.get("new") or "", fields.get("cites")
    is_patch = isinstance(old, str) and isinstance(new, str)
    return _Answer(
        fields["note"],
        tuple(c.strip("[] ") for c in cites if isinstance(c, str))
        if isinstance(cites, list)
        else (),
        old if is_patch else "",
        new if is_patch else "",
    )


def _cut_off(text: str) -> dict[str, str] | None:
    """The note of an answer that ran out of tokens after it."""
    start = re.match(r'\{\s{0,9}"note"\s{0,9}:\s{0,9}(?=")', text)
    if start is None:
        return None
    try:
        note, _ = json.JSONDecoder(strict=False).raw_decode(text, start.end())
    except ValueError:
        return None
    return {"note": note}


def _prose(text: str) -> _Answer:
    if len(text) > MAX_ANSWER_CHARS:
        raise _Refused(Reason.TOO_LONG, f"{len(text)} characters")
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    marks = [lines.index(m) if m in lines else -1
             for m in (FIRST_OF_CHANGE, MIDDLE_OF_CHANGE, LAST_OF_CHANGE)]  # fmt: skip
    old = new = ""
    if marks != [-1, -1, -1]:
        first, middle, last = marks
        if not 0 <= first < middle < last:
            raise _Refused(Reason.NOT_PROSE, "its change is cut off")
        old, new = "\n".join(lines[first + 1 : middle]), "\n".join(lines[middle + 1 : last])
        before, after = lines[:first], lines[last + 1 :]
        if before and after and before[-1].startswith("```") and after[0] == "```":
            before, after = before[:-1], after[1:]
        lines = before + after
    note = "\n".join(lines).strip()
    note = re.sub(r"(?m)^\s*(?:[-*•]|\d{1,2}[.)])\s+", "", note).replace("**", "")
    cites = tuple(i.strip() for group in _CITATION.findall(note) for i in group.split(","))
    return _Answer(note, cites, old, new)


# -- reading it ----------------------------------------------------------------------------------

_UNSAFE = re.compile(
    r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}://|\bwww\.|\b(?:mailto|javascript|data|file):\S"
    r"|\]\(|!\[|</?[a-zA-Z!][^<>\n]{0,200}>|&\w{2,8};|^\s*[$#>|] ?\S|\|\s*(?:ba|z)?sh\b",
    re.MULTILINE,
)
_COMMAND = re.compile(
    r"\b(?:sudo|rm -\w+|chmod|chown|curl|wget|pip3? install|npm (?:i|install)|apt(?:-get)? \w+|brew"
    r"|git \w+|docker \w+|systemctl|kill(?:all)? -\w+|pkill|mkfs|dd if=|bash -c|sh -c|python3? -\w)"
    r"|\brun (?:the )?(?:following|command|this|these)|in (?:a|the|your) (?:terminal|shell)\b",
    re.IGNORECASE,
)
_SUFFIX = (
    r"(?:py|pyi|js|mjs|cjs|jsx|ts|tsx|java|c|cc|cpp|cxx|h|hh|hpp|rs|go|rb|sh|bash|bats|pl|pm|t|mk"
    r"|json|toml|ya?ml|txt|cfg|ini|md|lock|log|sql|html|css|xml|env|so|o|a|out)"
)
_FILE = re.compile(
    rf"(?<![\w./-])(?P<file>[\w./-]{{0,200}}\b(?:[Mm]akefile|Dockerfile|[\w-]+\.{_SUFFIX}))"
    r"(?![\w(/.-]*[\w(/-])(?::(?P<line>\d+)(?:[-–]\d+)?)?"
)
_LINE = re.compile(r"\blines?\s+(\d+)(?:\s*(?:-|–|to|and|through)\s*(\d+))?", re.IGNORECASE)
_SLASH = re.compile(r"(?<!\w)[\w.~-]*(?:/[\w.~-]+)+/?")
_SLASH_WORDS = frozenset(
    "and/or i/o read/write try/except try/finally try/catch open/close start/stop lock/unlock"
    " acquire/release wait/notify enter/exit".split()
)
_SPAN = re.compile(r"`([^`\n]{1,200})`")
_QUOTE = re.compile(r"(?<!\w)(['\"‘“])([^'\"‘’“”\n]{1,160})['\"’”](?!\w)")
# What looks like code without being marked as such.
_CODE = re.compile(
    r"[A-Za-z_][\w.]{0,100}(?:::[\w]{1,60})*\([^()\n]{0,80}\)"
    r"|[A-Za-z_]\w{0,60}(?:(?:\.|::|->)[A-Za-z_]\w{0,60})+(?!\w)"
    r"|\b\w{1,60}_\w{0,60}|\b_\w{1,60}|(?<!\w)[$@]\{?\w{1,60}\}?|(?<!\w)--?[a-z][\w-]{1,60}"
    r"|\b[a-z]+[A-Z]\w{0,60}|\b[A-Z][a-z0-9]+[A-Z]\w{0,60}|\b[A-Z][A-Z0-9]{1,60}\b"
    r"|\b(?:return|exit) -?\d{1,4}\b"
    r"|\b[A-Za-z_]\w{0,60}\s?(?:=|\+=|-=|==|!=|<=|>=)\s?[\w.'\"]{1,60}"
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_NUMBER = re.compile(r"(?<!\w)(?<!\d\.)\d[\d,]*(?:\.\d+)?")
_SPELLED = re.compile(
    r"(?<!between )\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|fifty"
    r"|zero|dozens?|hundreds?|thousands?|millions?|billions?|half|third|quarter|double|twice|triple|several"
    r"|many|percent|percentage|most|majority|nearly|almost|about \d|around \d)\b",
    re.IGNORECASE,
)
_AS_NUMBER = {
    word: str(n)
    for n, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
}
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")
_LEADING = re.compile(
    r"(?:in|at|on|inside|within|instead|to|if|when|after|before|for|rather|once|then|also|and|but"
    r"|otherwise|alternatively|finally|first|next|or|where|around|until|while|by|with|from)\b"
    r"[^,]{0,160},\s*"
    r"|(?:do not|don't|then|also|and|or|otherwise|alternatively|finally|first|next|instead)\s+",
    re.IGNORECASE,
)
_MODAL = re.compile(
    r"\b(?:should|must|needs? to|has to|have to|ought to|can be (?:replaced|changed|moved"
    r"|bounded))\b",
    re.IGNORECASE,
)
_REPLACE = re.compile(r"\b(?:replace|change|swap) (?:(?!CODE)\w+ ){0,4}CODE(\d+)", re.IGNORECASE)
_PAIR = re.compile(
    r"\b(?:replace|change|swap) (?:(?!CODE)\w+ ){0,4}CODE(\d+)(?: (?!CODE)\w+){0,4}"
    r" (?:with|by|to|for|into) (?:(?!CODE)\w+ ){0,4}CODE(\d+)",
    re.IGNORECASE,
)


_RECURSIONS = frozenset((Cause.PROCESS_RECURSION, Cause.RECURSIVE_MAKE))


@dataclass(frozen=True, slots=True)
class _Grounds:
    """What a note is read against.

    Attributes:
        cause: None for a probe that is refused: it has none of those that findings have.
        explained: the rules' own words.
        facts: all that is told, those words too.
        numbers: that may be said, whatever stands behind them.
        is_advice: whether it has to say what to do; else it may not.
    """

    cause: Cause | None
    explained: tuple[str, ...]
    facts: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    location: SourceLocation | None
    other_locations: tuple[OtherLocation, ...] = ()
    numbers: frozenset[str] = frozenset()
    is_advice: bool = True


def _grounds(subject: Finding | RefusedProbe | ToldFunction) -> _Grounds:
    if isinstance(subject, Finding):
        return _Grounds(
            subject.cause,
            tuple(_explained(subject.explanation)),
            tuple(_facts(subject)),
            subject.evidence,
            subject.location,
            subject.other_locations,
        )
    if isinstance(subject, ToldFunction):
        message, rule, facts = "", "", subject.sentences
    else:
        message, rule, facts = subject.message, subject.rule, subject.facts
    said = (message, *facts)
    evidence = (Evidence(f"e{n}", "fact", text, "", None, "") for n, text in enumerate(said[1:], 1))
    place = subject.location
    return _Grounds(
        None,
        (message,),
        (*said, rule, place.path, place.function or ""),
        tuple(evidence),
        place,
        numbers=frozenset(_NUMBER.findall(" ".join(said))),
        is_advice=isinstance(subject, RefusedProbe),
    )


@dataclass(slots=True)
class _Reader:
    """Reads one note against what is known."""

    grounds: _Grounds
    excerpt: Excerpt | None
    patch: Patch | None
    spans: list[str] = field(default_factory=list)
    cited: list[str] = field(default_factory=list)

    def read(self, answer: _Answer, *, is_free_prose: bool) -> tuple[str, tuple[str, ...]]:
        note = _whole_sentences(answer.note.strip())
        self._look(note, is_free_prose=is_free_prose)
        ids = {piece.id for piece in self.grounds.evidence}
        if is_free_prose and (unknown := set(answer.cites) - ids):
            raise _Refused(Reason.UNKNOWN_CITATION, ", ".join(sorted(unknown)))
        self.cited += [cite for cite in answer.cites if cite in ids]
        text = _CITATION.sub("", note)
        self._not_an_echo(text)
        plain = self._with_places_checked(text)
        plain = self._with_code_checked(plain)
        self._verdict(plain, note)
        self._numbers(plain)
        self._words(plain)
        self._advice(plain)
        cause = self.grounds.cause
        no_remedy = NO_REMEDY.get(cause) if cause else AROUND_THE_VERIFIER
        if no_remedy and (match := no_remedy.search(text)):
            raise _Refused(Reason.WRONG_REMEDY, match[0])
        return note, tuple(dict.fromkeys(self.cited))

    # -- form ------------------------------------------------------------------------------------

    def _look(self, note: str, *, is_free_prose: bool) -> None:
        words = re.findall(r"[A-Za-z]{2,}", note)
        if len(words) < MIN_NOTE_WORDS:
            raise _Refused(Reason.EMPTY, "there is hardly a word")
        max_chars = MAX_PROSE_CHARS if is_free_prose else MAX_NOTE_CHARS
        if len(note) > max_chars:
            raise _Refused(Reason.TOO_LONG, f"{len(note)} characters")
        flat = note.replace("\n", " ") if is_free_prose else note
        if (visible(flat) != flat and len(flat) <= 1000) or visible(flat, 2000) != flat:
            raise _Refused(Reason.UNSAFE_TEXT, "it has control characters")
        if HIDDEN in note or "redacted" in note.lower():
            raise _Refused(Reason.UNSAFE_TEXT, "it speaks of what was hidden")
        if not re.fullmatch(r"[\x20-\x7e\n‘’“”–—…→×≤≥é]*", note):
            raise _Refused(Reason.NOT_PROSE, "it is not English")
        if match := _UNSAFE.search(note) or _COMMAND.search(note):
            raise _Refused(Reason.UNSAFE_TEXT, match[0])
        if "```" in note or note.count("`") % 2:
            raise _Refused(Reason.NOT_PROSE, "it has a block of code")
        if note[-1] not in _ENDS:
            raise _Refused(Reason.NOT_PROSE, "it is cut off")
        if sum(map(len, words)) < 0.5 * len(note):
            raise _Refused(Reason.NOT_PROSE, "it is hardly prose")

    def _not_an_echo(self, text: str) -> None:
        if match := ECHOES.search(_FILE.sub("", text)):
            raise _Refused(Reason.ECHO, match[0])
        words = _plain_words(text)
        runs = [tuple(words[i : i + 5]) for i in range(len(words) - 4)]
        if len(runs) - len(set(runs)) > 1:
            raise _Refused(Reason.ECHO, "it repeats itself")
        if not runs:
            return
        theirs = _plain_words(" . ".join(self.grounds.explained))
        known = {tuple(theirs[i : i + 5]) for i in range(len(theirs) - 4)}
        if sum(run in known for run in runs) > 0.5 * len(runs):
            raise _Refused(Reason.ECHO, "it says what the rules say")

    # -- names and places ------------------------------------------------------------------------

    def _source(self) -> str:
        return "\n".join(told_lines(self.excerpt)) if self.excerpt else ""

    def _names(self) -> set[str]:
        """What may be named: of the source that was shown, of the finding, of the rules' words."""
        names = set(_NAME.findall("\n".join(self.grounds.facts)[:20_000]))
        names |= set(_NAME.findall(self._source()))
        if self.patch is not None:
            names |= set(_NAME.findall(self.patch.edits[0].new))
        language = self.excerpt.language if self.excerpt else None
        return names | KEYWORDS | API_WORDS.get(language, frozenset())

    def _with_places_checked(self, text: str) -> str:
        grounds = self.grounds
        places = [(p.path, p.line) for p in (grounds.location, *grounds.other_locations) if p]
        paths = [path for path, _ in places] + ([self.excerpt.path] if self.excerpt else [])
        told = "\n".join([*grounds.facts, self._source()])
        lines = {line for _, line in places}
        if self.excerpt is not None:
            lines |= set(range(self.excerpt.first_line, self.excerpt.last_line + 1))

        def file(match: re.Match[str]) -> str:
            name = match["file"]
            ends = [path for path in paths if f"/{path}".endswith(f"/{name.removeprefix('./')}")]
            if not ends and not re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", told):
                raise _Refused(Reason.UNKNOWN_PLACE, match[0])
            if match["line"]:
                line = int(match["line"][:9])
                is_shown = (
                    self.excerpt is not None
                    and self.excerpt.path in ends
                    and self.excerpt.first_line <= line <= self.excerpt.last_line
                )
                if not is_shown and not any(p in ends and line == at for p, at in places):
                    raise _Refused(Reason.UNKNOWN_PLACE, match[0])
            return "PLACE"

        def line(match: re.Match[str]) -> str:
            if not {int(number[:9]) for number in match.groups() if number} <= lines:
                raise _Refused(Reason.UNKNOWN_PLACE, match[0])
            return "PLACE"

        return _LINE.sub(line, _FILE.sub(file, text))

    def _with_code_checked(self, text: str) -> str:
        names = self._names()
        source = self._source()
        numbers = set(re.findall(r"\d[\d_.]*", source))
        if self.patch is not None:
            numbers |= set(re.findall(r"\d[\d_.]*", self.patch.edits[0].new))

        def code(match: re.Match[str]) -> str:
            span = match[match.lastindex or 0]
            if span == "PLACE" or re.fullmatch(r"CODE\d+", match[0]):
                return match[0]
            for name in _NAME.findall(span):
                if name not in names and name != "PLACE":
                    raise _Refused(Reason.UNKNOWN_IDENTIFIER, name)
            for number in re.findall(r"(?<![A-Za-z_])\d[\d_.]*(?<!\.)", span):
                if number not in numbers:
                    raise _Refused(Reason.UNKNOWN_NUMBER, f"{number} in {span}")
            self.spans.append(span)
            return f"CODE{len(self.spans) - 1}"

        text = _SPAN.sub(code, text)
        text = _QUOTE.sub(code, text)
        text = _CODE.sub(lambda m: m[0] if m[0] in ("PLACE", "CPU", "CPUs") else code(m), text)
        for match in _SLASH.finditer(text):
            if match[0].lower() not in _SLASH_WORDS:
                raise _Refused(Reason.UNKNOWN_PLACE, match[0])
        for match in _REPLACE.finditer(text):
            if _squeezed(self.spans[int(match[1])]) not in _squeezed(source):
                raise _Refused(Reason.UNKNOWN_IDENTIFIER, self.spans[int(match[1])])
        for match in _PAIR.finditer(text):
            old, new = (_squeezed(self.spans[int(number)]) for number in match.groups())
            if old == new:
                raise _Refused(Reason.ECHO, "it replaces code by itself")
            if "wait" in old and "sleep" in new and "wait" not in new:
                raise _Refused(Reason.WRONG_REMEDY, "it waits there as it is")
            if old in new and self.grounds.cause in _RECURSIONS:
                raise _Refused(Reason.WRONG_REMEDY, "it calls itself all the same")
        return text

    # -- what it says ----------------------------------------------------------------------------

    def _verdict(self, plain: str, note: str) -> None:
        theirs = " ".join(self.grounds.explained)
        for text in (plain, note):
            if match := CONTRADICTIONS.search(text):
                raise _Refused(Reason.CONTRADICTS_VERDICT, match[0])
        if match := GUESSES.search(plain):
            raise _Refused(Reason.GUESS, match[0])
        if self.grounds.cause is None:
            return
        if match := WRONG_REMEDIES[self.grounds.cause].search(note):
            raise _Refused(Reason.WRONG_REMEDY, match[0])
        for pattern, causes in CAUSE_WORDS:
            match = pattern.search(plain)
            if match and self.grounds.cause not in causes and not _has_word(theirs, match[0]):
                raise _Refused(Reason.OTHER_CAUSE, match[0])

    def _numbers(self, plain: str) -> None:
        theirs = " ".join(self.grounds.explained)
        text = re.sub(r"\bCODE\d+", "CODE", plain)
        for match in _NUMBER.finditer(text):
            if match[0] in self.grounds.numbers:
                continue
            after = text[match.end() : match.end() + 60]
            piece = next((p for p in self.grounds.evidence if _is_told(match[0], after, p)), None)
            if piece is None:
                raise _Refused(Reason.UNKNOWN_NUMBER, f"{match[0]}{after[:20]}")
            self.cited.append(piece.id)
        for match in _SPELLED.finditer(text):
            word = match[1].lower()
            after = text[match.end() : match.end() + 60]
            number = _AS_NUMBER.get(word)
            is_told = number and any(_is_told(number, after, p) for p in self.grounds.evidence)
            if not is_told and not _has_word(theirs, word):
                raise _Refused(Reason.UNKNOWN_NUMBER, f"{match[0]}{after[:20]}")

    def _words(self, plain: str) -> None:
        """A sentence that states something may only use known words, and claim nothing."""
        theirs = {_stem(word) for word in _plain_words(" ".join(self.grounds.facts))}
        theirs |= {_stem(part) for word in _plain_words(self._source()) for part in word.split("_")}
        known = theirs | {_stem(word) for word in NEUTRAL}
        explained = " ".join(self.grounds.explained)
        for word in _plain_words(plain):
            if word in TOPICS and _stem(word) not in theirs:
                raise _Refused(Reason.UNMEASURED, word)
        for sentence in _SENTENCE.split(plain):
            is_advice = _is_advice(sentence)
            for match in (BOLD_CLAIMS if is_advice else CLAIMS).finditer(sentence):
                if not _has_word(explained, match[0]):
                    raise _Refused(Reason.UNMEASURED, match[0])
            reason = REASONS.search(sentence)
            stated = "" if is_advice else sentence
            if is_advice and reason:
                stated = sentence[reason.end() :]
            for word in _plain_words(re.sub(r"\b(?:CODE\d*|PLACE)\b", "", stated)):
                if _stem(word) not in known:
                    raise _Refused(Reason.UNMEASURED, word)

    def _advice(self, plain: str) -> None:
        cause = self.grounds.cause
        is_advice = any(_is_advice(sentence) for sentence in _SENTENCE.split(plain))
        if is_advice != self.grounds.is_advice:
            said = "it says what to do" if is_advice else "it says nothing to do"
            raise _Refused(Reason.NOT_SPECIFIC, said)
        # Words of code that is there are no advice.
        squeezed = _squeezed(self._source())
        new_code = [span for span in self.spans if _squeezed(span) not in squeezed]
        if cause and not REMEDIES[cause].search(" ".join([plain, *new_code])):
            raise _Refused(Reason.WRONG_REMEDY, "it is not what helps with this")
        source = set(_NAME.findall(self._source())) - (KEYWORDS - LOOP_WORDS)
        function = self.grounds.location.function if self.grounds.location else None
        source |= set(_NAME.findall(function or ""))
        is_named = any(set(_NAME.findall(span)) & source for span in self.spans)
        if not is_named and "PLACE" not in plain and self.patch is None:
            raise _Refused(Reason.NOT_SPECIFIC, "it says nothing of this code")


def _whole_sentences(note: str) -> str:
    """Without the end of a note that was cut off in a sentence, as a schema's limit does."""
    if note and note[-1] not in _ENDS:
        last = max(note.rfind(mark) for mark in (". ", ".\n", "! "))
        note = note[: last + 1]
    return note


def _explained(explanation: Explanation | None) -> list[str]:
    if explanation is None:
        return []
    return [explanation.summary, explanation.why, *explanation.fix, explanation.otherwise]


def _facts(finding: Finding) -> Iterator[str]:
    """All that the finding tells, in words."""
    yield from _explained(finding.explanation)
    for piece in finding.evidence:
        yield piece.name
        if isinstance(piece.value, str):
            yield piece.value
    for place in (finding.location, *finding.other_locations):
        if place is not None:
            yield place.path
    if finding.location is not None:
        yield finding.location.function or ""
    yield from (finding.test or "", finding.process.comm, *finding.process.argv[:40])


def _is_told(number: str, after: str, piece: Evidence) -> bool:
    """Whether that is a piece of evidence's value, with its unit in the words after it."""
    if isinstance(piece.value, str):
        return False
    value = piece.value
    spellings = {f"{value:,}", f"{value}"}
    after = re.sub(r"^\s*(?:different|busy|system|new|of (?:the|its))\s+(?=\w)", " ", after.lower())
    if piece.unit == "share":
        spellings = {f"{value:.1%}"[:-1], f"{value:.1%}"[:-1].removesuffix(".0")}
        return number in spellings and re.match(r"\s?(?:%|percent\b)", after) is not None
    if number not in spellings:
        return False
    unit, _, per = piece.unit.partition("/")
    words = UNIT_WORDS.get(piece.unit) or (unit.removesuffix("s"),)
    is_rate = bool(per) and piece.unit.endswith("/s")
    rest = next(
        (match for word in words if (match := re.match(rf"\s?{re.escape(word)}(?:e?s)?\b", after))),
        None,
    )
    if rest is None:
        return False
    says_rate = re.match(
        r"\s?(?:/s|per second|a second|each second|every second)\b", after[rest.end() :]
    )
    return bool(says_rate) == is_rate


def _is_advice(sentence: str) -> bool:
    """Whether it says what to do."""
    text = sentence.strip(" -\"'(")
    for _ in range(3):
        leading = _LEADING.match(text)
        if leading is None:
            break
        text = text[leading.end() :]
    first = re.match(r"[A-Za-z]+", text)
    return (first is not None and first[0].lower() in IMPERATIVES) or bool(_MODAL.search(sentence))


def _plain_words(text: str) -> list[str]:
    return re.findall(r"[a-z][a-z_'-]*", text.lower())


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "es", "ed", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)
