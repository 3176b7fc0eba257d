import json

import pytest

from linnix_ls.cli import doctor
from linnix_ls.cli.screen import render
from linnix_ls.diagnosis import Check

GOOD = Check("kernel", is_ok=True, is_required=True, detail="6.1")
BAD = Check("BCC", is_ok=False, is_required=True, detail="missing \x1b", fix="apt-get install x")
OPTIONAL = Check("tracefs", is_ok=False, is_required=False, detail="not mounted", fix="mount it")


def test_each_check_is_a_line_and_what_is_amiss_has_its_fix_below():
    assert render(doctor.to_text([GOOD, BAD, OPTIONAL]), has_colour=False) == (
        "✔ kernel   6.1\n"
        "✘ BCC      missing \\x1b\n"
        "           fix: apt-get install x\n"
        "○ tracefs  not mounted\n"
        "           fix: mount it\n"
        "\ndegraded: 1 of 3 checks failed\n"
    )


def test_all_is_well_is_said():
    shown = render(doctor.to_text([GOOD]), has_colour=False)
    assert shown == "✔ kernel  6.1\n\nnothing is degraded\n"


@pytest.mark.parametrize(
    ("checks", "expected"), [([GOOD, OPTIONAL], False), ([GOOD, BAD], True), ([], False)]
)
def test_only_what_is_required_degrades(checks, expected):
    assert doctor.is_degraded(checks) == expected
    assert json.loads(doctor.to_json(checks))["is_degraded"] == expected


def test_programs_get_every_field():
    assert json.loads(doctor.to_json([BAD])) == {
        "schema": "linnix-doctor/1",
        "is_degraded": True,
        "checks": [
            {
                "name": "BCC",
                "is_ok": False,
                "is_required": True,
                "detail": "missing \x1b",
                "fix": "apt-get install x",
            }
        ],
    }


@pytest.mark.ebpf
def test_nothing_is_degraded_where_there_is_root_and_btf(capfd):
    from linnix_ls.cli.main import main

    assert main(["doctor", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert not report["is_degraded"]
    assert {"BCC", "permission", "probes", "py-spy"} <= {c["name"] for c in report["checks"]}
