"""JUnit and TestNG, under Maven, Gradle or by themselves: a method with ``@Test`` is on a stack."""

from __future__ import annotations

import re
from collections.abc import Sequence

from linnix_ls.locate.runners.base import FoundTest, Process, Scope, place
from linnix_ls.locate.source import read_lines
from linnix_ls.locate.syntax import syntax_of

_ANNOTATION = re.compile(
    r"@(?:[\w.]+\.)?(?:Test|ParameterizedTest|RepeatedTest|TestFactory|TestTemplate|Property)\b"
)
_METHOD = re.compile(r"\b(\w+)\s*\(")
_ANNOTATIONS = re.compile(r"\s*@[\w.]+(?:\s*\([^()]*(?:\([^()]*\)[^()]*)*\))?")
_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)\s*;")
# JUnit 3 has no annotations: public void test….
_JUNIT3 = re.compile(r"\s*public\s+void\s+test\w*\s*\(\s*\)")
_GRADLE = "worker.org.gradle.process.internal.worker.GradleWorkerMain"


class JUnitRunner:
    """See `locate.runners.base.Runner`. `package.Class#method`, as Maven's ``-Dtest`` takes it;
    under Gradle `package.Class.method`, as its ``--tests`` does."""

    variables: frozenset[str] = frozenset()

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        for frame in process.user_frames():
            path, line = frame.path or "", frame.line or 0
            source = syntax_of(path) if path.endswith(".java") else None
            lines = read_lines(path)
            for first, last in source.functions_around(line) if source else ():
                found = _test_method("\n".join(lines[first - 1 : min(last, first + 19)]))
                if found is None:
                    continue
                method, n_lines_above = found
                class_name = frame.function.rpartition(".")[0]
                package = next((m[1] for text in lines if (m := _PACKAGE.match(text))), None)
                joint = "." if _GRADLE in process.argv else "#"
                test = f"{package}.{class_name}" if package else class_name
                at = place(path, first + n_lines_above, method)
                return FoundTest(f"{test}{joint}{method}", Scope.TEST, at)
        return None


def _test_method(text: str) -> tuple[str, int] | None:
    """The name of the method that `text` begins with, and on which of its lines that is; None
    when it is no test."""
    begin = 0
    while annotation := _ANNOTATIONS.match(text, begin):
        begin = annotation.end()
    method = _METHOD.search(text, begin)
    is_test = _ANNOTATION.search(text, 0, begin) or _JUNIT3.match(text, begin)
    return (method[1], text.count("\n", 0, method.start())) if method and is_test else None
