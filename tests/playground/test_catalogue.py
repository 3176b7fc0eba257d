"""Each rule of the catalogue: its example, its sample of a log, its page."""

import re
from pathlib import Path

import pytest

from linnix_ls.pages import rule_page
from linnix_ls.playground.generate_pages import FOLDER, MARK
from linnix_ls.playground.verifier.rules import catalogue, match
from tests.playground.checking import check_in_background, errors

RULES = catalogue()
WITH_EXAMPLE = [rule for rule in RULES if rule.example]
WITH_LOG = [rule for rule in RULES if rule.log and rule.when is None]


@pytest.fixture(scope="module")
def checks():
    running = {rule.id: check_in_background(rule.example) for rule in WITH_EXAMPLE}
    yield running
    for each in running.values():
        each.cancel()


@pytest.mark.ebpf
@pytest.mark.parametrize("rule", WITH_EXAMPLE, ids=lambda rule: rule.id)
def test_an_example_is_refused_by_its_rule_at_its_line(rule, checks):
    marked = next(
        number for number, line in enumerate(rule.example.split("\n"), 1) if MARK.strip() in line
    )
    checked, _ = checks[rule.id].result()
    assert [(each.code, each.span.line) for each in errors(checked)] == [
        (f"verifier/{rule.id}", marked)
    ]


@pytest.mark.parametrize("rule", WITH_LOG, ids=lambda rule: rule.id)
def test_a_sample_of_a_log_is_recognised_by_its_rule(rule):
    assert match(rule.log.splitlines()).rule is rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_has_a_page_with_its_example(rule):
    page = rule_page(f"verifier/{rule.id}")
    text = Path(page).read_text()
    listed = re.sub(r"^[> ] +\d+ ?", "", text, flags=re.MULTILINE)
    example = (rule.example or rule.log).replace(MARK, "").strip("\n")
    for line in example.splitlines():
        assert line in listed


def test_there_is_no_page_of_a_rule_that_is_none():
    ids = {rule.id for rule in RULES}
    assert {page.stem for page in FOLDER.glob("*.md")} - {"README"} == ids
    assert rule_page("verifier/../../README") is None
    assert rule_page("clang") is None
