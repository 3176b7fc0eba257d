"""The programs in `programs/`: the right line, a rule that is known, and nothing about good ones."""

import re
from pathlib import Path

import pytest

from tests.playground.checking import check_in_background, errors

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.bpf.c"))
EXPECTATION = re.compile(r"// expect: (?:ok|line=(?P<lines>[\d,]+) family=.* kind=(?P<kind>\w+))")

pytestmark = pytest.mark.ebpf


@pytest.fixture(scope="module")
def checks():
    """All begin now; a test waits for its own."""
    running = {path.name: check_in_background(text_of(path)) for path in PROGRAMS}
    yield running
    for each in running.values():
        each.cancel()


def text_of(path):
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read()


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name.removesuffix(".bpf.c"))
def test_each_program_is_judged_as_its_first_line_says(path, checks):
    expected = EXPECTATION.match(text_of(path))
    checked, trial = checks[path.name].result()
    if not expected["lines"]:
        assert not checked.problems
        return
    first, *_ = errors(checked)
    allowed = [int(line) for line in expected["lines"].split(",")]
    assert first.span.line in allowed, (first, trial.output[-2000:])
    assert "unknown" not in first.code
    area = first.code.partition("/")[0]
    assert area != "check"
    if expected["kind"] == "policy":
        assert area == "policy"
