import argparse
import json
import os

import pytest

from linnix_ls.cli import output
from linnix_ls.cli.screen import Screen
from linnix_ls.core.findings import Severity
from linnix_ls.errors import UsageError
from tests.report.samples import FACTS, SPIN, STATUS, a_spin


def outputs(json=None, sarif=None):
    return output.Outputs(argparse.Namespace(json=json and str(json), sarif=sarif and str(sarif)))


@pytest.fixture
def screen():
    fd = os.open(os.devnull, os.O_WRONLY)
    screen = Screen(fd)
    yield screen
    screen.close()
    os.close(fd)


def test_both_documents_are_written(tmp_path, screen):
    files = outputs(tmp_path / "a.json", tmp_path / "b.sarif")
    assert output.report(screen, files, FACTS, STATUS, [SPIN])
    assert json.loads((tmp_path / "a.json").read_text())["findings"][0]["id"] == "f1"
    assert json.loads((tmp_path / "b.sarif").read_text())["version"] == "2.1.0"


def test_one_may_go_to_stdout(capfd, screen):
    assert output.report(screen, outputs("-"), FACTS, STATUS, [])
    assert json.loads(capfd.readouterr().out)["findings"] == []


def test_a_full_disk_is_reported(screen):
    assert not output.report(screen, outputs("/dev/full"), FACTS, STATUS, [])


def test_a_file_that_cannot_be_made_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write .*/no/file: No such file or directory"):
        outputs(tmp_path / "no" / "file")


def test_severities_are_the_cores():
    assert tuple(Severity) == output.SEVERITIES


@pytest.mark.parametrize(
    ("severity", "limit", "expected"),
    [("error", "warning", True), ("warning", "warning", True), ("hint", "warning", False)],
)
def test_grave_enough_is_as_grave_or_graver(severity, limit, expected):
    assert output.is_grave_enough(a_spin(severity=Severity(severity)), limit) == expected
