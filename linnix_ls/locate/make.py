"""make: the line of the recipe that runs, found by the command lines of its children; else the
rule of the target that it was told to build."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from linnix_ls.core.examination import PlaceHint, ProcessFacts
from linnix_ls.locate import commandline
from linnix_ls.locate.base import Reading
from linnix_ls.locate.lineage import generations, index_before_repetition
from linnix_ls.locate.source import is_user_file, read_lines, resolve

MAX_INCLUDED = 32
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")  # in make's own order
_OPTIONS_WITH_VALUE = frozenset({"-I", "-o", "-W", "-E", "--eval"})
_RULE = re.compile(r"^([^\s#:=][^#:=]*):(?!=)")
_RECURSES = re.compile(r"\$[({]MAKE[)}]|\bmake\b")
_INCLUDE = re.compile(r"^\s*[-s]?include\s+(.+)$")
_COMMANDS_OF_LINE = re.compile(r"&&|\|\|?|;")
_ASSIGNMENTS = re.compile(r"^\s*(?:\w+=\S*\s+)+")


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
        hint = (
            _recipe_that_closes_circle(facts)
            or _running_recipe(makefile, facts)
            or _rule_of_target(makefile, targets)
        )
        return Reading(self.language, hints=(hint,))


def target_with_rule(
    facts: ProcessFacts, wanted: Callable[[str], bool]
) -> tuple[str, PlaceHint | None] | None:
    """The first target that make was told to build and that is `wanted`, and where its rule is."""
    makefile, targets = _arguments(facts)
    target = next((name for name in targets if wanted(name)), None)
    if target is None:
        return None
    return target, _rule_of_target(makefile, [target]) if makefile else None


def _recipe_that_closes_circle(facts: ProcessFacts) -> PlaceHint | None:
    """Among makes that run one another: the line of that one which runs an earlier one again, for
    the same targets in the same folder."""
    makes = [
        (process, makefile, targets)
        for process in generations(facts.key.pid)
        if MakeReader().recognises(process)
        for makefile, targets in [_arguments(process)]
    ]
    index = index_before_repetition((makefile, tuple(targets)) for _, makefile, targets in makes)
    if index is None:
        return None
    process, makefile, targets = makes[index]
    if makefile is None:
        return None
    hint = _running_recipe(makefile, process) or _rule_of_target(makefile, targets)
    return replace(hint, confidence=0.85, reason="the line that makes the same again")


def _running_recipe(makefile: str, facts: ProcessFacts) -> PlaceHint | None:
    """The recipe line that one of make's children came from."""
    commands = commandline.commands_of_children(facts.key.pid)
    if not commands:
        return None
    places = []
    templates = []
    for path in _with_included(makefile, facts.cwd):
        for number, text in _recipe_lines(read_lines(path)):
            for template in _templates(text):
                places.append((path, number))
                templates.append(template)
    index = commandline.best_match(templates, commands)
    if index is None:
        return None
    path, number = places[index]
    return PlaceHint(path, number, None, 0.75, "the line of the recipe that runs")


def _rule_of_target(makefile: str, targets: list[str]) -> PlaceHint:
    lines = read_lines(makefile)
    rule = _rule_of(lines, targets)
    if rule is None:
        return PlaceHint(makefile, 1, None, 0.4, "the makefile that it runs")
    first, last = rule
    for number in range(first, last + 1):
        if _RECURSES.search(lines[number - 1]):
            reason = "the line of the rule that runs make again"
            return PlaceHint(makefile, number, None, 0.7, reason)
    return PlaceHint(makefile, first, None, 0.7, "the rule of its target")


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


def _with_included(makefile: str, cwd: str | None) -> Iterator[str]:
    """The makefile and those that it includes by a literal name."""
    yield makefile
    n_found = 0
    for text in read_lines(makefile):
        match = _INCLUDE.match(text)
        for name in match[1].split() if match else ():
            path = resolve(name, cwd)
            if path is not None and is_user_file(path) and n_found < MAX_INCLUDED:
                n_found += 1
                yield path


def _recipe_lines(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Number and text of each command, continued lines joined."""
    number = 0
    while number < len(lines):
        number += 1
        text = lines[number - 1]
        first = number
        while text.endswith("\\") and number < len(lines):
            number += 1
            text = text[:-1] + lines[number - 1].removeprefix("\t")
        if text.startswith("\t") and text.strip():
            yield first, text.strip().lstrip("@+-").lstrip()


def _templates(text: str) -> Iterator[str]:
    """The line as a whole, and its commands: the shell may have become the last of them."""
    yield text
    for part in _COMMANDS_OF_LINE.split(text):
        yield _ASSIGNMENTS.sub("", part).strip()


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
