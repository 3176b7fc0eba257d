from dataclasses import replace
from textwrap import dedent

import pytest

from linnix_ls.cli.screen import render
from linnix_ls.core.findings import Edit, Note, Patch, Severity
from linnix_ls.core.ids import ProcessKey
from linnix_ls.feed.base import FeedState, FeedStatus
from linnix_ls.report import text
from linnix_ls.report.document import Busy
from tests.report.samples import FACTS, PUMP_SOURCE, PYTEST, SPIN, STARTED_NS, STATUS, a_spin, at


@pytest.fixture
def pump(tmp_path):
    path = tmp_path / "pump.py"
    path.write_text(PUMP_SOURCE)
    return path


def block(finding, cwd="/ws", *, has_colour=False):
    shown = text.finding_block(finding, cwd=str(cwd), started_ns=STARTED_NS)
    return render(shown, has_colour=has_colour)


def test_a_finding_reads_like_a_compilers_diagnostic(pump, tmp_path):
    assert block(a_spin(location=at(pump, 4)), tmp_path) == dedent(
        """
        warning[cpu_spin]: drain() asks an empty queue again and again
         --> pump.py:4 in drain
          |
        2 |     def drain(self):
        3 |         while True:
        4 |             if self.queue.empty():
          |             ^^^^^^^^^^^^^^^^^^^^^^ 97 of 99 samples (90% sure)
        5 |                 continue
        6 |             self.take()
          |
          = test: tests/test_pump.py::test_drain (/ws/tests/test_pump.py:12)
          = spawn site: /ws/tests/helpers.py:7
          = process: pytest(4400) → python3(4412)
          = command: python3 pump.py
          = time: began 1.2 s after the start, noticed at 2.6 s
          = evidence: on cpu cores 0.99, commonest syscall epoll_wait
          = why: It used 0.99 cores.
        help: Wait in the call.
        help: Or sleep.
        """
    )


def test_several_guilty_lines_are_bracketed(pump, tmp_path):
    shown = block(a_spin(location=at(pump, 3, 5)), tmp_path)
    assert (
        dedent(
            """\
         --> pump.py:3-5 in drain
          |
        1 |   class Pump:
        2 |       def drain(self):
        3 | /         while True:
        4 | |             if self.queue.empty():
        5 | |                 continue
          | |________________________^ 97 of 99 samples (90% sure)
        6 |               self.take()
          |
        """
        )
        in shown
    )


def test_of_a_long_range_the_first_line_stands_for_all(tmp_path):
    path = tmp_path / "long.py"
    path.write_text("".join(f"line {number}\n" for number in range(1, 200)))
    shown = block(a_spin(location=at(path, 50, 150)), tmp_path)
    assert "--> long.py:50-150" in shown
    assert "50 | line 50\n   | ^^^^^^^ 97 of" in shown
    assert "line 53" not in shown


def test_underlines_count_columns_not_characters(tmp_path):
    path = tmp_path / "wide.py"
    path.write_text("  待つ()\n")
    assert "  |   ^^^^^^ 97" in block(a_spin(location=at(path, 1)), tmp_path)


def test_an_empty_guilty_line_still_gets_a_mark(tmp_path):
    path = tmp_path / "empty.py"
    path.write_text("\n\n")
    assert "  | ^ 97" in block(a_spin(location=at(path, 1)), tmp_path)


def test_without_the_source_the_place_and_its_reason_are_told():
    shown = block(SPIN)
    assert " --> pump.py:41-43 in drain\n  = here because: python stack, 97 of 99" in shown


def test_without_a_place_the_process_is_told():
    shown = block(a_spin(location=None))
    assert "-->" not in shown
    assert "= process: pytest(4400) → python3(4412)" in shown


def test_without_an_explanation_kind_and_cause_are_told():
    shown = block(a_spin(explanation=None))
    assert "warning[cpu_spin]: python3 (pid 4412): cpu spin, busy poll" in shown


def test_a_deep_chain_shows_both_ends():
    ancestry = tuple(
        replace(PYTEST, key=ProcessKey(number, number), comm=f"p{number}")
        for number in range(40, 0, -1)
    )
    shown = block(a_spin(ancestry=ancestry))
    assert (
        "p1(1) → p2(2) → p3(3) → p4(4) → (33 more) → "
        "p38(38) → p39(39) → p40(40) → python3(4412)" in shown
    )


def test_nothing_foreign_reaches_the_terminal_unescaped(tmp_path):
    evil = "\x1b]0;owned\x07\n\u202e\udcff[bold]"
    path = tmp_path / "evil.py"
    path.write_text(f"x = '{evil[:-7]}'\n")
    process = replace(SPIN.process, comm=evil, argv=("python3", evil))
    finding = a_spin(
        process=process,
        ancestry=(process,),
        location=replace(at(path, 1), function=evil, reason=evil),
        test=evil,
        explanation=replace(SPIN.explanation, summary=evil, why=evil, fix=(evil,)),
        evidence=(replace(SPIN.evidence[1], value=evil, source=evil),),
        other_locations=(replace(SPIN.other_locations[0], path=evil, role=evil),),
    )
    shown = block(finding) + render(text.summary(FACTS, STATUS, [finding]), has_colour=False)
    assert not set("\x1b\x07\u202e\udcff") & set(shown)
    assert "[bold]" in shown


def test_what_else_it_could_be_is_said_where_it_is_not_sure():
    words = replace(SPIN.explanation, otherwise="A server under load looks like this.")
    assert "  = unless: A server under load looks like this.\n" in block(a_spin(explanation=words))
    assert "unless" not in block(SPIN)


def noted(note, finding=SPIN):
    return render(text.note_block(finding, note, cwd="/ws"), has_colour=False)


def test_a_models_note_has_its_name_and_says_that_its_patch_was_not_tried():
    patch = Patch("SmolLM2", "Wait", (Edit("/ws/pump.py", 41, "a\n\tb", "a\n    c"),))
    assert noted(Note("SmolLM2", "Wait in get().", (), patch)) == dedent(
        """
        note[SmolLM2]: on f1, pump.py:41-43 in drain; a model's words, not measured
          Wait in get().
          pump.py:41, not tried:
          - a
          -     b
          + a
          +     c
        """
    )


def test_of_a_models_words_nothing_acts_on_the_terminal():
    evil = "\x1b]0;owned\x07\u202e\udcff[bold]"
    patch = Patch(evil, evil, (Edit(evil, 1, evil, evil),))
    shown = noted(Note(evil, evil, (), patch))
    assert not set("\x1b\x07\u202e\udcff") & set(shown)
    assert "[bold]" in shown


@pytest.mark.parametrize("has_colour", [True, False])
def test_escapes_are_written_only_where_there_is_colour(has_colour):
    assert ("\x1b[" in block(SPIN, has_colour=has_colour)) == has_colour


class TestSummary:
    def check(self, expected, *findings, status=STATUS, facts=FACTS):
        assert render(text.summary(facts, status, findings), has_colour=False) == expected

    def test_of_a_quiet_run_is_one_line(self):
        self.check(
            "linnix: no runaways · 88 processes watched · 5123 events, 0 lost · tracer bcc "
            "· 9.8 s\n"
        )

    def test_does_not_claim_more_than_was_seen_of_a_process_that_kept_a_cpu(self):
        facts = replace(FACTS, busy=Busy("python\x1b3", 4412, 48.3))
        self.check(
            "linnix: nothing proved · python\\x1b3 (pid 4412) kept a CPU for 48 s, at work as far"
            " as could be seen · 88 processes watched · 5123 events, 0 lost · tracer bcc · 9.8 s\n",
            facts=facts,
        )

    def test_names_each_finding_with_its_place(self):
        self.check(
            "\nlinnix: 2 findings · 88 processes watched · 5123 events, 0 lost · tracer bcc "
            "· 9.8 s\n"
            "  warning[cpu_spin] pump.py:41-43 in drain · tests/test_pump.py::test_drain"
            " · from 1.2 s on\n"
            "  error[cpu_spin] python3(4412) · from 1.2 s to 3.0 s\n",
            SPIN,
            a_spin(
                id="f2",
                location=None,
                test=None,
                severity=Severity.ERROR,
                ended_ns=STARTED_NS + 3_000_000_000,
            ),
        )

    def test_says_how_much_was_lost_and_by_whom_it_was_seen(self):
        status = replace(STATUS, tracer="psutil", n_received=1, n_lost=7, n_processes=1)
        self.check(
            "linnix: no runaways · 1 process watched · 1 event, 7 lost · tracer psutil · 9.8 s\n",
            status=status,
        )

    def test_does_not_claim_that_all_is_well_when_nothing_was_watched(self):
        status = FeedStatus(FeedState.OFF)
        self.check("linnix: nothing was watched · 9.8 s\n", status=status)


def test_a_notice_has_its_fix_on_a_line_of_its_own():
    shown = render(text.notice("degraded: no \x1b", "sudo x"), has_colour=False)
    assert shown == "linnix: degraded: no \\x1b\n  fix: sudo x\n"
