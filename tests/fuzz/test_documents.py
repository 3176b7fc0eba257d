"""Settings, findings documents, answers of models, and what is looked at for secrets."""

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnix_ls.config import Settings, parse_settings
from linnix_ls.core.explanations import explain
from linnix_ls.core.findings import (
    Cause,
    Evidence,
    Kind,
    Note,
    OtherLocation,
    ProcessInfo,
    SourceLocation,
)
from linnix_ls.core.text import visible
from linnix_ls.errors import FindingsFileError
from linnix_ls.explain import gate, prompt, redaction
from linnix_ls.lsp.text import code_span, markdown, prose
from linnix_ls.report import document, sarif
from tests.explain.findings import found, source_of
from tests.fuzz.strategies import any_text, damaged, damaged_json, json_values, pieces
from tests.report.samples import FACTS, SPIN, STATUS

SETTINGS = {"linnix": json.loads(Settings().model_dump_json())}


@given(damaged_json(SETTINGS) | json_values)
def test_any_settings_are_used_as_far_as_they_are_right(raw):
    read, problems = parse_settings(raw)
    assert isinstance(read, Settings)
    again, more = parse_settings(json.loads(read.model_dump_json()))
    assert (again, more) == (read, [])
    assert all(isinstance(each, str) for each in problems)


@given(st.sampled_from(["thresholds", "explain", "fixes", "playground"]), json_values)
def test_a_group_of_settings_that_is_something_else_leaves_the_others(group, value):
    read, _ = parse_settings({**SETTINGS["linnix"], group: value, "min_severity": "error"})
    assert isinstance(read, Settings)


# -- findings documents --------------------------------------------------------------------------

DOCUMENT = document.to_json(document.build(FACTS, STATUS, [SPIN]))


# What is in a finding but its numbers, which others test.
any_findings = st.builds(
    replace,
    st.just(SPIN),
    test=st.none() | any_text,
    process=st.builds(ProcessInfo, argv=st.lists(any_text, max_size=2).map(tuple)),
    location=st.none() | st.from_type(SourceLocation),
    other_locations=st.lists(st.from_type(OtherLocation), max_size=2).map(tuple),
    evidence=st.lists(st.from_type(Evidence), max_size=2).map(tuple),
    kind=st.sampled_from(Kind),
    cause=st.sampled_from(Cause),
)


@given(
    (damaged_json(json.loads(DOCUMENT)) | json_values).map(json.dumps) | damaged(DOCUMENT.decode())
)
def test_any_document_is_read_or_refused(content):
    with contextlib.suppress(FindingsFileError):
        read, findings = document.read(content.encode("utf-8", "replace"))
        assert len(document.with_findings(read, findings).findings) == len(findings)
        for finding in findings:
            explain(finding)


@settings(max_examples=settings.default.max_examples // 4)
@given(any_findings)
def test_any_finding_is_explained_written_and_read_again(finding):
    explain(finding)
    written = document.build(FACTS, STATUS, [finding])
    json.loads(sarif.to_sarif(written))
    content = document.to_json(written)
    read, _ = document.read(content)
    assert document.to_json(read) == content


# -- models --------------------------------------------------------------------------------------

NAMES = ("py-log-shipper", "c-frame-reader", "bash-wait-db", "node-config-store")
words = pieces(
    "`records.get()`", "line 25", "worker.py:25", "0.51 cores", "[e1]", "Wait in ", "sleep",
    "```json\n", "]({", "http://", "<<<<", prompt.FIRST_OF_CHANGE, prompt.LAST_OF_CHANGE, "```",
)  # fmt: skip
answers = (
    st.fixed_dictionaries(
        {"note": words}, optional={"old": words, "new": words, "cites": json_values}
    ).map(json.dumps)
    | words
    | json_values.map(json.dumps)
)


@pytest.mark.parametrize("name", NAMES)
def test_any_answer_of_a_model_is_a_note_or_refused(name):
    @settings(max_examples=settings.default.max_examples // 2)
    @given(answers, st.booleans())
    def is_note_or_refused(answer, is_free_prose):
        checked = gate.check(answer, "m", found(name), source_of(name), is_free_prose=is_free_prose)
        if isinstance(checked, Note):
            assert len(checked.text) <= gate.MAX_PROSE_CHARS
            assert "://" not in checked.text
        else:
            assert visible(checked.detail, 1000) == checked.detail

    is_note_or_refused()


secrets = pieces(
    "password", "=", ": ", '"', "'", "hunter2hunter2", "TOKEN=", "-p ", "curl -u ", "Bearer ",
    "AKIAIOSFODNN7EXAMPLE", "-----BEGIN PRIVATE KEY-----\n", "os.environ[", "mysql ", "{", "[",
    ",\n",
)  # fmt: skip


@given(secrets, st.sampled_from([None, "python", "javascript", "shell", "c"]))
def test_redaction_keeps_the_lines_of_any_text_and_hides_nothing_twice(text, language):
    once = redaction.redacted(text, language)
    assert once.count("\n") == text.count("\n")


@given(st.lists(secrets | any_text, max_size=6))
def test_a_command_line_keeps_its_number_of_words(argv):
    assert len(redaction.redacted_argv(argv)) == len(argv)


# -- text ----------------------------------------------------------------------------------------


@given(any_text)
def test_text_that_is_made_visible_is_so_once_and_for_all(text):
    shown = visible(text)
    assert visible(shown) == shown
    assert shown.isprintable() or all(
        each == " " or not each.isspace() for each in shown if not each.isprintable()
    )
    shown.encode()
    for made in (markdown(text), prose(text), code_span(text)):
        assert "\n" not in made
