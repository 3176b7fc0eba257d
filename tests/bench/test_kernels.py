"""The matrix of kernels: what its parts make of each other, without an emulator."""

import os
import re
import subprocess
import sys

import pytest

from bench.accuracy import CORPUS
from bench.kernels import __main__ as matrix
from bench.kernels import virtual
from bench.scoring import Case

SAID = """\
{"kernel": "6.1.0-50-cloud-amd64", "boot_s": 6.5, "has_btf": true}
{"agent": {"is_ready": true, "start_s": 12.3, "objects": {"prog": 5, "map": 9, "link": 3}}}
{"result": {"case": "spin", "detection": "detected", "place": "exact", "said": "a.c:12",\
 "flagged_s": 4.2, "problem": null, "false_reports": []}}
{"result": {"case": "user-probe", "is_passed": true, "found": []}}
{"result": {"case": "refusal", "is_passed": false, "found": ["8: verifier/null-deref"]}}
{"end": {"is_detached": true, "left": {"prog": 0, "map": 0, "link": 0}}, "errors": ""}
{"is_complete": true}
"""


def a_result(said, cases=("spin", "user-probe", "refusal"), **more):
    run = {"suite": "bookworm", "logs": "/logs", **virtual.read_facts(said), **more}
    tool = {"name": "linnix-ls", "version": "0.1.0"}
    return {"tool": tool, "measured_at": "then", "cases": list(cases), "runs": [run]}


@pytest.fixture(autouse=True)
def an_emulator(monkeypatch):
    monkeypatch.setattr(virtual, "version", lambda: "7.2")


def test_a_kernel_on_which_all_works_is_a_row_without_a_no():
    page = matrix.markdown(a_result(SAID))
    assert re.search(r"6\.1\.0.* yes +\| a.c:12, 4 s \| yes +\| yes +\| yes +\| 12 s", page)
    assert not matrix.failures(a_result(SAID))


def test_a_new_matrix_takes_the_place_of_the_one_on_the_page():
    once = matrix.published(matrix.PAGE.read_text(), "| first |\n")
    twice = matrix.published(once, "| second |\n")
    assert "| first |" in once
    assert "| first |" not in twice
    assert twice == once.replace("| first |", "| second |")
    assert twice.endswith(matrix.PAGE.read_text()[-100:])


def test_a_runaway_found_elsewhere_is_a_failure():
    [failure] = matrix.failures(a_result(SAID.replace("exact", "near")))
    assert failure == "bookworm: NO: detected at a.c:12 (near) (see /logs)"


def test_a_stranger_that_was_accused_is_a_failure():
    said = SAID.replace('"false_reports": []', '"false_reports": ["stuck/deadlock warning"]')
    [failure] = matrix.failures(a_result(said))
    assert "NO: accused a stranger: stuck/deadlock warning" in failure


def test_a_case_that_was_not_tried_is_a_failure():
    [failure] = matrix.failures(a_result(SAID, cases=("spin", "storm")))
    assert "NO: not tried" in failure


def test_a_probe_that_is_refused_for_another_reason_is_a_failure():
    other = '"found": ["8: verifier/other"], "summary": "0 of 4 checks pass", "messages": ["eh?"]'
    said = SAID.replace('"found": ["8: verifier/null-deref"]', other)
    [failure] = matrix.failures(a_result(said))
    assert "NO: 0 of 4 checks pass ['eh?']" in failure


def test_what_is_left_in_the_kernel_is_a_failure():
    [failure] = matrix.failures(
        a_result(SAID.replace('"is_detached": true', '"is_detached": false'))
    )
    assert "NO: {'prog': 0, 'map': 0, 'link': 0}" in failure


def test_why_the_agent_did_not_start_is_said():
    said = (
        '{"kernel": "5.10"}\n{"agent": {"is_ready": false, "message": "no ring", "start_s": 3}}\n'
    )
    [failure] = matrix.failures(a_result(said))
    assert "NO: no ring" in failure
    assert "it ended too early" in failure


def test_a_machine_that_said_nothing_is_a_failure():
    [failure] = matrix.failures(a_result("", problem="not done after 9 s"))
    assert "not done after 9 s" in failure


def test_a_line_that_the_machine_broke_off_in_is_passed_over():
    facts = virtual.read_facts(SAID[:100] + "\nTraceback (most recent call last):\n")
    assert facts == {
        "results": [],
        "kernel": "6.1.0-50-cloud-amd64",
        "boot_s": 6.5,
        "has_btf": True,
    }


def test_the_cases_are_spins_in_two_languages_and_a_storm():
    cases = [Case.read(CORPUS / "runaway" / name) for name in matrix.CASES[:3]]
    assert [case.label for case in cases] == ["cpu-spin", "cpu-spin", "fork-storm"]


def test_init_is_sound_shell():
    shellcheck = os.path.join(sys.prefix, "bin", "shellcheck")
    # SC2187: busybox's shell is what it is checked as, SC2016: what is meant for another shell.
    subprocess.run([shellcheck, "--shell=busybox", str(virtual.INIT)], check=True)


def test_init_loads_the_modules_that_are_fetched():
    fetched = (virtual.CHECKOUT / "deploy/kernels.sh").read_text()
    [in_init] = re.findall(r"for module in (.+); do", virtual.INIT.read_text())
    assert f"for module in {in_init}; do" in fetched


def test_the_kernels_are_those_that_can_be_fetched():
    fetched = (virtual.CHECKOUT / "deploy/kernels.sh").read_text()
    assert f"set -- {' '.join(matrix.KERNELS)} " in fetched
