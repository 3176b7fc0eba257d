"""pytest, which names the test in the environment, of itself and of what it starts; and unittest,
whose tests are known by their stack."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from linnix_ls.core.examination import PlaceHint, ProcessFacts, StackFrame
from linnix_ls.locate.runners.base import FoundTest, Process, Scope, place, shown
from linnix_ls.locate.source import is_user_file, line_of, python_source, resolve
from linnix_ls.sources import is_file

_PHASE = re.compile(r" \((setup|call|teardown)\)$")
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")
_IN_UNITTEST = re.compile(r"/unittest/(async_)?case\.py$")
_IN_PYTEST = re.compile(r"/_pytest/")
_DOTTED = re.compile(r"\w+(\.\w+)+")
MAX_FOLDERS_ABOVE = 8


class PytestRunner:
    """See `locate.runners.base.Runner`. pytest-xdist's workers and pytest-forked's children are
    pytest too."""

    variables = frozenset({"PYTEST_CURRENT_TEST"})

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        test = (
            _PHASE.sub("", process.variables.get("PYTEST_CURRENT_TEST", ""))
            or self._on_stack(process)
            or self._in_arguments(process)
        )
        if not test:
            return None
        lineage = [process.facts, *(ancestor.facts for ancestor in above)]
        return FoundTest(test, Scope.TEST, _place_of(test, lineage))

    def _on_stack(self, process: Process) -> str | None:
        """The outermost function that pytest would take for a test, unless unittest runs it."""
        if _calls(process, _IN_UNITTEST) and not _calls(process, _IN_PYTEST):
            return None
        for frame in process.user_frames():
            names = _names(frame)
            if _TEST_FILE.search(frame.path or "") and names[-1].startswith("test"):
                return "::".join([shown(frame.path or "", process.cwd), *names])
        return None

    def _in_arguments(self, process: Process) -> str | None:
        """When it was told to run just one."""
        names = [os.path.basename(argument) for argument in process.argv[:3]]
        if not {"pytest", "py.test"} & set(names):
            return None
        tests = [argument for argument in process.argv[1:] if "::" in argument]
        return tests[0] if len(tests) == 1 and tests[0][:1] != "-" else None


class UnittestRunner:
    """See `locate.runners.base.Runner`."""

    variables: frozenset[str] = frozenset()

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        return self._on_stack(process) or self._in_arguments(process)

    def _on_stack(self, process: Process) -> FoundTest | None:
        if not _calls(process, _IN_UNITTEST) or _calls(process, _IN_PYTEST):
            return None
        for frame in process.user_frames():
            names = _names(frame)
            if frame.path and len(names) > 1 and names[-1].startswith("test"):
                test = ".".join([_module(frame.path, process), *names])
                return FoundTest(test, Scope.TEST, _place_of_names(frame.path, names))
        return None

    def _in_arguments(self, process: Process) -> FoundTest | None:
        """When it was told to run just one: ``python -m unittest tests.test_x.Class.test_name``."""
        arguments = list(process.argv[1:])
        if arguments[:2] != ["-m", "unittest"]:
            return None
        tests = [a for a in arguments[2:] if _DOTTED.fullmatch(a)]
        if len(tests) != 1 or not tests[0].rpartition(".")[2].startswith("test"):
            return None
        module, *names = tests[0].rsplit(".", 2)
        path = resolve(f"{module.replace('.', '/')}.py", process.cwd)
        if path is None or not is_user_file(path):
            return None  # it names a module, not a test
        return FoundTest(tests[0], Scope.TEST, _place_of_names(path, names))


def _calls(process: Process, path: re.Pattern[str]) -> bool:
    return any(path.search(f.path or "") for stack in process.stacks for f in stack.frames)


def _names(frame: StackFrame) -> list[str]:
    """The function's name, its class before it."""
    names = frame.function.split(".")
    if len(names) == 1 and frame.path and frame.line and (source := python_source(frame.path)):
        around = source.names_around(frame.line)
        if around and around[-1] == names[0]:
            return list(around)
    return names


def _module(path: str, process: Process) -> str:
    """What unittest calls a file: by its path from the folder where it began to look."""
    folder = os.path.dirname(path)
    while is_file(os.path.join(folder, "__init__.py")) and folder != "/":
        folder = os.path.dirname(folder)  # a package's modules have its name
    above = process.cwd
    if folder == os.path.dirname(path) and above and "discover" not in process.argv:
        folder = above  # a folder that is no package may be one by its place
    return shown(path, folder).removesuffix(".py").strip("/").replace("/", ".")


def _place_of(test: str, lineage: Iterable[ProcessFacts]) -> PlaceHint | None:
    """Where the test's function is defined. Its path counts from pytest's root folder, which is
    the working folder of a process of the lineage or one above that."""
    path, *names = test.split("::")
    if not names:
        return None
    names[-1] = names[-1].partition("[")[0]
    for folder in _folders_above(facts.cwd for facts in lineage):
        candidate = os.path.normpath(os.path.join(folder, path))
        if is_user_file(candidate):
            return _place_of_names(candidate, names)
    return None


def _place_of_names(path: str, names: Sequence[str]) -> PlaceHint | None:
    source = python_source(path)
    line = source.definition(names) if source else None
    if line is None:  # inherited, or no Python that we can parse
        line = line_of(path, rf"^\s*(async\s+)?def\s+{re.escape(names[-1])}\b")
    return place(path, line, names[-1])


def _folders_above(folders: Iterable[str | None]) -> Iterable[str]:
    seen = set()
    for start in folders:
        folder = start
        for _ in range(MAX_FOLDERS_ABOVE):
            if folder is None or folder in seen:
                break
            seen.add(folder)
            yield folder
            folder = os.path.dirname(folder) if folder != "/" else None
