"""GoogleTest, whose tests are functions of a known form; and CTest, which knows commands."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from linnix_ls.core.examination import PlaceHint
from linnix_ls.locate.runners.base import FoundTest, Process, Scope, place
from linnix_ls.locate.source import read_lines, resolve
from linnix_ls.sources import is_file

MAX_FILES = 200
_TEST_BODY = re.compile(r"(?:^|::|\s)(\w+)_Test(?:<(?:(?!_Test<).)*>)?::TestBody\b")
_MACRO = re.compile(r"^\s*(?:TYPED_)?TEST(?:_F|_P)?\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)")
_ONE_TEST = re.compile(r"[\w/]+\.[\w/]+")
_TOKEN = re.compile(
    r"\[(?P<level>=*)\[(?P<bracket>.*?)\](?P=level)\]"
    r'|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    r"|(?P<bare>[^\s()\"]+)"
)
_OPENS = re.compile(r"^\s*(?P<command>add_test|set_tests_properties|subdirs|include)\((?P<rest>.*)")
_WRITTEN_AT = re.compile(r'_BACKTRACE_TRIPLES "([^";]+);(\d{1,7});')


class GoogleTestRunner:
    """See `locate.runners.base.Runner`."""

    variables = frozenset({"GTEST_FILTER"})

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        return self._on_stack(process) or self._told(process)

    def _on_stack(self, process: Process) -> FoundTest | None:
        without_place: FoundTest | None = None
        for stack in process.stacks:
            for frame in stack.frames:
                match = _TEST_BODY.search(frame.function)
                if match is None:
                    continue
                for number, text in enumerate(read_lines(frame.path or ""), start=1):
                    macro = _MACRO.match(text)
                    if macro and f"{macro[1]}_{macro[2]}" == match[1]:
                        at = place(frame.path, number, macro[2])
                        return FoundTest(f"{macro[1]}.{macro[2]}", Scope.TEST, at)
                if match[1].count("_") == 1:
                    without_place = FoundTest(match[1].replace("_", "."), Scope.TEST)
        return without_place

    def _told(self, process: Process) -> FoundTest | None:
        """When it was told to run just one."""
        options = [a.partition("=")[2] for a in process.argv[1:] if a.startswith("--gtest_filter=")]
        wanted = options[-1] if options else process.variables.get("GTEST_FILTER", "")
        # What a test starts inherits the variable.
        if not options and not any("gtest" in argument for argument in process.argv):
            return None
        return FoundTest(wanted, Scope.TEST) if _ONE_TEST.fullmatch(wanted) else None


class _Added(NamedTuple):
    """A test of CTest's files."""

    name: str
    command: tuple[str, ...]
    at: PlaceHint | None


class CTestRunner:
    """See `locate.runners.base.Runner`. For what `ctest` itself has started."""

    variables: frozenset[str] = frozenset()

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        if not above or above[0].program != "ctest" or not process.argv:
            return None
        same = {
            test.name: test.at
            for test in _added_tests(_build_folder(above[0]))
            if test.command == process.argv
        }
        if len(same) != 1:
            return None
        [(name, at)] = same.items()
        return FoundTest(name, Scope.FILE, at)


def _build_folder(ctest: Process) -> str | None:
    for option, value in zip(ctest.argv, (*ctest.argv[1:], ""), strict=False):
        if option == "--test-dir" or option.startswith("--test-dir="):
            folder = resolve(value if option == "--test-dir" else option[11:], ctest.cwd)
            if folder and is_file(os.path.join(folder, "CTestTestfile.cmake")):
                return folder
    return ctest.cwd


def _added_tests(folder: str | None) -> Iterator[_Added]:
    files = [os.path.join(folder, "CTestTestfile.cmake")] if folder else []
    for file in files:  # it grows
        lines = read_lines(file)
        for number, text in enumerate(lines):
            match = _OPENS.match(text)
            if match is None or match["command"] == "set_tests_properties":
                continue
            tokens = list(_TOKEN.finditer(match["rest"]))
            if match["command"] == "add_test":
                # How cmake has written it is in the properties, on the next line.
                after = lines[number + 1] if number + 1 < len(lines) else ""
                name, command = _name_and_command(tokens)
                yield _Added(name, command, _written_at(after))
            elif tokens:
                path = resolve(_value(tokens[0]), os.path.dirname(file))
                if path is not None and match["command"] == "subdirs":
                    path = os.path.join(path, "CTestTestfile.cmake")
                if path is not None and path not in files and len(files) < MAX_FILES:
                    files.append(path)


def _name_and_command(tokens: list[re.Match[str]]) -> tuple[str, tuple[str, ...]]:
    """cmake writes a name in brackets, or bare: then it goes up to the first quote."""
    n_name = 1
    if tokens and tokens[0]["bare"]:
        n_bare = next((i for i, token in enumerate(tokens) if not token["bare"]), 1)
        n_name = n_bare or 1
    name = " ".join(map(_value, tokens[:n_name]))
    return name, tuple(map(_value, tokens[n_name:]))


def _value(token: re.Match[str]) -> str:
    if token["quoted"] is not None:
        return re.sub(r"\\(.)", r"\1", token["quoted"])
    return token["bracket"] if token["bracket"] is not None else token["bare"]


def _written_at(properties: str) -> PlaceHint | None:
    match = _WRITTEN_AT.search(properties)
    return place(match[1], int(match[2])) if match else None
