"""make: the rule of the target that it was told to build."""

from __future__ import annotations

import os
import re

from linnix_ls.core.examination import PlaceHint, ProcessFacts
from linnix_ls.locate.base import Reading
from linnix_ls.locate.source import is_user_file, read_lines, resolve

_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")  # in make's own order
_OPTIONS_WITH_VALUE = frozenset({"-I", "-o", "-W", "-E", "--eval"})
_RULE = re.compile(r"^([^\s#:=][^#:=]*):(?!=)")
_RECURSES = re.compile(r"\$[({]MAKE[)}]|\bmake\b")


class MakeReader:
    """See `locate.base.LanguageReader`."""

    language = "make"

    def recognises(self, facts: ProcessFacts) -> bool:
        return bool(facts.argv) and os.path.basename(facts.argv[0]) in ("make", "gmake")

    async def read(self, facts: ProcessFacts, *, n_looks: int, interval_s: float) -> Reading:
        # /proc's cwd is already behind any -C.
        makefile, targets = _arguments(facts)
        if makefile is None:
            return Reading(self.language)
        lines = read_lines(makefile)
        rule = _rule_of(lines, targets)
        if rule is None:
            hint = PlaceHint(makefile, 1, None, 0.4, "the makefile that it runs")
            return Reading(self.language, hints=(hint,))
        first, last = rule
        calls_make = next(
            (n for n in range(first, last + 1) if _RECURSES.search(lines[n - 1])), None
        )
        hint = PlaceHint(
            makefile,
            calls_make or first,
            None,
            0.7,
            "the line of the rule that runs make again" if calls_make else "the rule of its target",
        )
        return Reading(self.language, hints=(hint,))


def _arguments(facts: ProcessFacts) -> tuple[str | None, list[str]]:
    makefile: str | None = None
    targets = []
    arguments = iter(facts.argv[1:])
    for argument in arguments:
        if argument in ("-f", "--file", "--makefile"):
            makefile = next(arguments, None)
        elif argument.startswith(("--file=", "--makefile=")):
            makefile = argument.partition("=")[2]
        elif argument in ("-C", "--directory") or argument in _OPTIONS_WITH_VALUE:
            next(arguments, None)
        elif argument[:1] != "-" and "=" not in argument:
            targets.append(argument)
    names = [makefile] if makefile else _MAKEFILES
    paths = (resolve(name, facts.cwd) for name in names)
    return next((path for path in paths if is_user_file(path)), None), targets


def _rule_of(lines: list[str], targets: list[str]) -> tuple[int, int] | None:
    """First and last line of the rule for the first of `targets`, or of the default rule.

    A pattern rule (``%.o:``) counts where no other names the target.
    """
    pattern_rule: tuple[int, int] | None = None
    for number, text in enumerate(lines, start=1):
        match = _RULE.match(text)
        if match is None or (not targets and match[1].startswith(".")):
            continue
        if targets and not any(_matches(name, targets[0]) for name in match[1].split()):
            continue
        last = number
        while last < len(lines) and (lines[last].startswith("\t") or not lines[last].strip()):
            last += 1
        if targets and "%" in match[1]:
            pattern_rule = pattern_rule or (number, last)
        else:
            return number, last
    return pattern_rule


def _matches(name: str, target: str) -> bool:
    """Whether a rule for `name`, which may hold a ``%``, builds `target`."""
    head, percent, tail = name.partition("%")
    if not percent:
        return name == target
    return target.startswith(head) and target.endswith(tail) and len(target) > len(head + tail)
