import json
from dataclasses import replace
from pathlib import Path

import pytest
from lsprotocol import types
from lsprotocol.converters import get_converter
from pygls.workspace import PositionCodec

from linnix_ls.core.findings import Kind, Severity, State
from linnix_ls.lsp import to_proto, wording
from linnix_ls.lsp.documents import uri_of_path
from tests.lsp.memory_feed import a_finding, a_place, a_process

WHERE = types.Range(
    start=types.Position(line=1, character=4), end=types.Position(line=1, character=9)
)


def check_range(drawn, encoding=types.PositionEncodingKind.Utf16):
    """The line of `drawn` that has carets below it must come out as the range."""
    rows = drawn.strip("\n").split("\n")
    lines = [row for row in rows if row.strip(" ^") or not row]
    [(marked, marks)] = [
        (lines.index(rows[i - 1]), row) for i, row in enumerate(rows) if "^" in row
    ]
    found = to_proto.line_range(lines, marked, PositionCodec(encoding))
    assert found.start == types.Position(line=marked, character=marks.index("^"))
    assert found.end == types.Position(line=marked, character=len(marks.rstrip()))


class TestRange:
    def test_covers_the_text_of_the_line(self):
        check_range("""
def drain():
    while queue.empty():
    ^^^^^^^^^^^^^^^^^^^^
        pass
""")

    @pytest.mark.parametrize(
        ("encoding", "end"),
        [
            (types.PositionEncodingKind.Utf8, 2 + 4 + 3 + 1),
            (types.PositionEncodingKind.Utf16, 2 + 2 + 1 + 1),
            (types.PositionEncodingKind.Utf32, 2 + 1 + 1 + 1),
        ],
    )
    def test_counts_in_the_clients_encoding(self, encoding, end):
        found = to_proto.line_range(["\t\t😋€x"], 0, PositionCodec(encoding))
        assert (found.start.character, found.end.character) == (2, end)

    def test_stays_in_a_file_that_became_shorter(self):
        found = to_proto.line_range(["a", "  b"], 40, PositionCodec())
        assert found.start == types.Position(line=1, character=2)
        assert found.end == types.Position(line=1, character=3)

    def test_is_the_whole_line_of_a_file_that_cannot_be_read(self):
        found = to_proto.line_range(None, 4, PositionCodec())
        assert found.start == types.Position(line=4, character=0)
        assert found.end == types.Position(line=5, character=0)

    def test_of_a_blank_line_is_empty(self):
        found = to_proto.line_range(["   "], 0, PositionCodec())
        assert found.start.character == 3
        assert found.end.character == 0 or found.end >= found.start


class TestDiagnostic:
    def test_says_what_the_contract_wants(self):
        finding = a_finding()
        made = to_proto.diagnostic(finding, Severity.WARNING, WHERE, None)
        assert made.source == "linnix"
        assert made.code == "cpu_spin"
        assert made.severity == types.DiagnosticSeverity.Warning
        assert made.message == "drain() polls without waiting"
        assert made.data == {
            "finding_id": "f1",
            "pid": 4412,
            "start_ticks": 441200,
            "kind": "cpu_spin",
            "cause": "busy_poll",
        }

    @pytest.mark.parametrize("kind", [Kind.CPU_SPIN, Kind.FORK_STORM])
    def test_links_to_the_installed_page_of_its_kind(self, kind):
        made = to_proto.diagnostic(a_finding(kind=kind), Severity.WARNING, WHERE, None)
        page = Path(made.code_description.href.removeprefix("file://"))
        assert page.name == f"{kind}.md"
        assert page.is_file()

    def test_says_what_happens_before_there_is_an_explanation(self):
        made = to_proto.diagnostic(a_finding(explanation=None), Severity.WARNING, WHERE, None)
        assert made.message == "python3 (pid 4412) spins on a CPU: busy poll"

    def test_says_that_the_process_has_ended(self):
        made = to_proto.diagnostic(a_finding(state=State.ENDED), Severity.INFORMATION, WHERE, None)
        assert made.message.endswith("(the process has ended)")

    def test_survives_a_hostile_process_name(self):
        hostile = a_process(7, "a\x1b]0;x\x07\udcff\n\u202e")
        made = to_proto.diagnostic(
            a_finding(process=hostile, explanation=None), Severity.WARNING, WHERE, None
        )
        assert made.message.startswith("a\\x1b]0;x\\x07\\xff\\n\\u202e (pid 7)")
        json.dumps(get_converter().unstructure(made)).encode()


class TestRelatedInformation:
    def related(self, finding):
        def locate(path, line):
            start = types.Position(line=line - 1, character=0)
            return types.Location(uri=uri_of_path(path), range=types.Range(start=start, end=start))

        return [
            (each.location.uri.rpartition("/")[2], each.location.range.start.line, each.message)
            for each in to_proto.related_information(finding, locate)
        ]

    def test_has_the_test_first_and_then_the_other_places(self):
        finding = a_finding(
            other_locations=(
                a_place("/w/pump.py", 7, "spawn_site"),
                a_place("/w/test_pump.py", 12, "test"),
            ),
            ancestry=(),
        )
        assert self.related(finding) == [
            ("test_pump.py", 11, "the test that runs it: tests/test_pump.py::test_drain"),
            ("pump.py", 6, "started here"),
        ]

    def test_has_the_parents_that_run_a_file(self, tmp_path):
        for name in ("run.sh", "Makefile", "test_a.py"):
            (tmp_path / name).touch()
        parents = (
            a_process(5, "bash", "bash", "-e", "run.sh", cwd=str(tmp_path)),
            a_process(4, "python3", "python3", "-m", "pytest", "test_a.py::t", cwd=str(tmp_path)),
            a_process(3, "make", "/usr/bin/make", "all", cwd=str(tmp_path)),
            a_process(2, "zsh", "zsh", cwd=str(tmp_path)),
        )
        assert self.related(a_finding(ancestry=parents)) == [
            ("run.sh", 0, "started by bash (pid 5)"),
            ("test_a.py", 0, "started by python3 (pid 4)"),
            ("Makefile", 0, "started by make (pid 3)"),
        ]

    def test_looks_at_no_more_than_a_few_of_many_arguments(self, tmp_path):
        (tmp_path / "last").touch()
        argv = ("cat", *["\0odd"] * 2, *["x"] * 4000, "last")
        assert to_proto.file_of_command(argv, str(tmp_path)) is None


class TestCodeActions:
    def actions(self, finding):
        shown = to_proto.diagnostic(finding, Severity.WARNING, WHERE, None)
        return {
            action.title: (action.command.command, action.command.arguments)
            for action in to_proto.code_actions(finding, shown)
        }

    def test_offer_to_stop_explain_and_dismiss(self):
        argument = [{"finding_id": "f1"}]
        assert self.actions(a_finding()) == {
            "Stop process 4412 (python3)": ("linnix.stopProcess", argument),
            "Explain: cpu spin": ("linnix.explain", argument),
            "Dismiss": ("linnix.dismiss", argument),
        }

    def test_do_not_offer_to_stop_what_has_ended(self):
        assert list(self.actions(a_finding(state=State.ENDED))) == ["Explain: cpu spin", "Dismiss"]

    def test_stop_a_storm_with_its_children(self):
        storm = a_finding(kind=Kind.FORK_STORM)
        assert "Stop process 4412 (python3) and its children" in self.actions(storm)


class TestHover:
    def test_has_words_evidence_and_processes_as_markdown(self):
        assert wording.as_markdown(a_finding()) == (
            "**cpu_spin** / busy_poll: python3 (pid 4412), confidence 93%\n\n"
            "drain() polls without waiting\n\n"
            "It kept 0.99 cores busy.\n\n"
            "- Wait for the queue.\n\n"
            "| | evidence | value | seen by |\n|---|---|---|---|\n"
            "| e1 | on cpu cores | 0.99 over 2 s | cpu_clock samples |\n\n"
            "Test: `tests/test_pump.py::test_drain`\n\n"
            "This line, because: 97 of 99 samples (confidence 90%)\n\n"
            "Processes:\n\n"
            "- pytest (pid 4400) `pytest -q`\n"
            "  - python3 (pid 4412) `python3 pump.py`"
        )

    def test_is_plain_text_for_a_client_without_markdown(self):
        text = wording.as_plain_text(a_finding())
        assert "on cpu cores: 0.99 over 2 s (cpu_clock samples)" in text
        assert "  python3 (pid 4412)" in text
        assert "**" not in text

    def test_cannot_be_broken_by_argv(self):
        argv = ("sh", "-c", "`x`\n\n# <b>\x1b[2J", *["arg"] * 4000)
        finding = replace(a_finding(), process=a_process(9, "sh|<b>", *argv))
        text = wording.as_markdown(finding)
        assert "\x1b" not in text
        assert "sh\\|\\<b\\> (pid 9) ``sh -c `x`\\n\\n# <b>" in text
        assert len(text) < 2000
