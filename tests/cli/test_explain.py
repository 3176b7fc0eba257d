"""`linnix-ls explain` on documents of earlier runs. No model is asked; that is in tests/e2e."""

import json
from dataclasses import replace

import pytest

from linnix_ls.cli.main import main
from linnix_ls.core.findings import Edit, Note, Patch
from linnix_ls.report.document import build, to_json
from tests.report.samples import FACTS, PUMP_SOURCE, SPIN, STATUS, a_spin, at


@pytest.fixture
def pump(tmp_path):
    path = tmp_path / "pump.py"
    path.write_text(PUMP_SOURCE)
    return path


@pytest.fixture
def document(tmp_path, pump):
    note = Note("Old 1B", "Words.", ("e1",), Patch("Old 1B", "t", (Edit(str(pump), 4, "a", "b"),)))
    findings = [
        a_spin(location=at(pump, 4), explanation=replace(SPIN.explanation, note=note)),
        a_spin(id="f2", location=at(pump, 3), explanation=None),
    ]
    path = tmp_path / "findings.json"
    path.write_bytes(to_json(build(replace(FACTS, cwd=str(tmp_path)), STATUS, findings)))
    return path


def explain(capfd, *words):
    exit_code = main(["explain", *map(str, words)])
    return exit_code, *capfd.readouterr()


def test_shows_each_finding_with_its_code_and_its_words(document, capfd):
    exit_code, out, err = explain(capfd, document, "--explain", "rules")
    assert (exit_code, out) == (0, "")
    assert err.count("warning[cpu_spin]: ") == 2
    assert "4 |             if self.queue.empty():" in err
    assert "drain" in err
    assert err.count("= why: ") == 2
    assert "help: " in err


def test_shows_only_the_one_that_is_named(document, capfd):
    _, _, err = explain(capfd, document, "--explain", "rules", "--id", "f2")
    assert err.count("warning[cpu_spin]: ") == 1
    assert "pump.py:3" in err


def test_writes_the_document_again_with_the_words_of_today(document, capfd):
    _, out, _ = explain(capfd, document, "--explain", "rules", "--json", "-")
    before, after = json.loads(document.read_bytes()), json.loads(out)
    words = [finding.pop("explanation") for finding in after["findings"]]
    for finding in before["findings"]:
        del finding["explanation"]
    assert after == before
    assert [word["by"] for word in words] == ["rules", "rules"]
    assert words[0]["note"] is None  # it was about other words


def test_with_none_there_are_no_words(document, capfd):
    _, out, err = explain(capfd, document, "--explain", "none", "--json", "-")
    assert "help: " not in err
    assert [f["explanation"] for f in json.loads(out)["findings"]] == [None, None]


def test_that_nothing_would_be_told_to_anybody_is_said(document, capfd):
    exit_code, out, _ = explain(capfd, document, "--explain", "rules", "--dry-run")
    assert exit_code == 0
    assert "Nothing would be told to anybody" in out


def test_what_an_endpoint_would_be_told_is_shown_whole_and_without_secrets(
    tmp_path, pump, capfd, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-shown-0123456789abcdef")
    process = replace(SPIN.process, argv=("python3", "pump.py", "--password", "hunter2hunter2"))
    document = tmp_path / "findings.json"
    finding = a_spin(location=at(pump, 4), process=process)
    document.write_bytes(to_json(build(FACTS, STATUS, [finding])))
    endpoint = ("--explain", "openai", "--endpoint", "http://127.0.0.1:9/v1", "--model", "big")
    exit_code, out, _ = explain(capfd, document, *endpoint, "--dry-run")
    assert exit_code == 0
    assert "big" in out and "127.0.0.1" in out
    assert "self.queue.empty()" in out and "0.99" in out
    assert "hunter2" not in out and "sk-never" not in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "no findings document"),
        (b'{"schema": "sarif"}', "no findings document"),
        (None, "cannot read"),
    ],
)
def test_what_is_no_findings_document_is_refused_with_the_way_to_one(
    tmp_path, capfd, content, message
):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    exit_code, out, err = explain(capfd, path)
    assert (exit_code, out) == (2, "")
    assert message in err


def test_an_id_that_is_not_in_it_is_refused_with_those_that_are(document, capfd):
    exit_code, _, err = explain(capfd, document, "--id", "f9")
    assert exit_code == 2
    assert "there is no finding f9 in it; there are: f1, f2" in err


def test_a_run_without_findings_says_so(tmp_path, capfd):
    path = tmp_path / "findings.json"
    path.write_bytes(to_json(build(FACTS, STATUS, [])))
    exit_code, _, err = explain(capfd, path)
    assert exit_code == 0
    assert "there are no findings in it" in err
