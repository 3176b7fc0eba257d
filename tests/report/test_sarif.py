import json
import re
from dataclasses import replace

import pytest

from linnix_ls.core.engine import DETECTORS
from linnix_ls.core.findings import Kind, Severity
from linnix_ls.core.ids import ProcessKey
from linnix_ls.report import document, sarif
from tests.report.samples import FACTS, PUMP, SPIN, STATUS, a_spin, at

# Of SARIF 2.1.0, what we write: object -> property -> (type, is it required).
STRUCTURE = {
    "log": {"$schema": (str, False), "version": (str, True), "runs": (["run"], True)},
    "run": {
        "tool": ("tool", True),
        "columnKind": (str, False),
        "originalUriBaseIds": (dict, False),
        "invocations": (["invocation"], False),
        "results": (["result"], False),
    },
    "tool": {"driver": ("driver", True)},
    "driver": {
        "name": (str, True),
        "semanticVersion": (str, False),
        "rules": (["rule"], False),
    },
    "rule": {
        "id": (str, True),
        "name": (str, False),
        "shortDescription": ("message", False),
        "help": ("help", False),
        "helpUri": (str, False),
        "defaultConfiguration": (dict, False),
    },
    "help": {"text": (str, True), "markdown": (str, False)},
    "invocation": {
        "executionSuccessful": (bool, True),
        "startTimeUtc": (str, False),
        "workingDirectory": ("artifactLocation", False),
        "toolExecutionNotifications": (["notification"], False),
        "properties": (dict, False),
    },
    "notification": {"level": (str, False), "message": ("message", True)},
    "message": {"text": (str, True)},
    "result": {
        "ruleId": (str, False),
        "ruleIndex": (int, False),
        "level": (str, False),
        "rank": (float, False),
        "message": ("message", True),
        "partialFingerprints": (dict, False),
        "locations": (["location"], False),
        "relatedLocations": (["location"], False),
        "properties": (dict, False),
    },
    "location": {
        "id": (int, False),
        "message": ("message", False),
        "physicalLocation": ("physicalLocation", False),
        "logicalLocations": (["logicalLocation"], False),
    },
    "logicalLocation": {"name": (str, False), "kind": (str, False)},
    "physicalLocation": {
        "artifactLocation": ("artifactLocation", True),
        "region": ("region", False),
    },
    "artifactLocation": {"uri": (str, False), "uriBaseId": (str, False)},
    "region": {"startLine": (int, False), "endLine": (int, False)},
}


def check_structure(value, expected, where="log"):
    if isinstance(expected, list):
        assert isinstance(value, list), where
        for number, item in enumerate(value):
            check_structure(item, expected[0], f"{where}[{number}]")
    elif isinstance(expected, str):
        known = STRUCTURE[expected]
        assert value.keys() <= known.keys(), where
        for name, (part, is_required) in known.items():
            assert name in value or not is_required, f"{where}.{name}"
            if name in value:
                check_structure(value[name], part, f"{where}.{name}")
    else:
        assert isinstance(value, expected), where


def log_of(*findings, facts=FACTS, status=STATUS):
    written = sarif.to_sarif(document.build(facts, status, findings))
    return json.loads(written.decode("utf-8"))


def results_of(*findings, facts=FACTS):
    return log_of(*findings, facts=facts)["runs"][0]["results"]


def test_has_the_structure_of_sarif_2_1_0():
    bare = a_spin(location=None, other_locations=(), explanation=None, test=None)
    log = log_of(SPIN, bare, status=replace(STATUS, degraded="no eBPF"))
    check_structure(log, "log")
    assert log["version"] == "2.1.0"


def test_every_kind_is_a_rule_and_those_we_detect_have_their_page():
    [run] = log_of()["runs"]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert list(rules) == list(Kind)
    for detector in DETECTORS:
        rule = rules[detector.kind]
        assert re.fullmatch(rf"file:///.*/docs/findings/{detector.kind}\.md", rule["helpUri"])
        assert rule["help"]["markdown"].startswith("#")


def test_a_result_points_at_its_rule_line_and_other_places():
    [result] = results_of(SPIN)
    rules = log_of()["runs"][0]["tool"]["driver"]["rules"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "cpu_spin"
    assert result["level"] == "warning"
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "pump.py", "uriBaseId": "SRCROOT"},
                "region": {"startLine": 41, "endLine": 43},
            },
            "logicalLocations": [{"name": "drain", "kind": "function"}],
        }
    ]
    assert [related["message"]["text"] for related in result["relatedLocations"]] == [
        "test",
        "spawn site",
    ]
    assert result["message"]["text"] == (
        "drain() asks an empty queue again and again\nIt used 0.99 cores.\n"
        "Wait in the call.\nOr sleep."
    )


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        (Severity.ERROR, "error"),
        (Severity.WARNING, "warning"),
        (Severity.INFORMATION, "note"),
        (Severity.HINT, "note"),
    ],
)
def test_severities_become_levels(severity, level):
    assert results_of(a_spin(severity=severity))[0]["level"] == level


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/ws/a b/ü.py", {"uri": "a%20b/%C3%BC.py", "uriBaseId": "SRCROOT"}),
        ("/elsewhere/x.py", {"uri": "file:///elsewhere/x.py"}),
        ("/wsx/x.py", {"uri": "file:///wsx/x.py"}),
        ("/ws/..x/y.py", {"uri": "..x/y.py", "uriBaseId": "SRCROOT"}),
        ("/ws/\udcff.py", {"uri": "%5Cxff.py", "uriBaseId": "SRCROOT"}),
    ],
)
def test_paths_become_uris_relative_to_where_the_command_ran(path, expected):
    [result] = results_of(a_spin(location=at(path, 1)))
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == expected


def test_what_they_are_relative_to_is_a_folder():
    facts = replace(FACTS, cwd="/my ws")
    [run] = log_of(facts=facts)["runs"]
    assert run["originalUriBaseIds"] == {"SRCROOT": {"uri": "file:///my%20ws/"}}


def test_what_could_not_be_seen_is_a_notification():
    [run] = log_of(status=replace(STATUS, degraded="no eBPF"))["runs"]
    [invocation] = run["invocations"]
    assert invocation["toolExecutionNotifications"] == [
        {"level": "warning", "message": {"text": "no eBPF"}}
    ]


class TestFingerprint:
    def of(self, finding, cwd):
        [result] = results_of(finding, facts=replace(FACTS, cwd=str(cwd)))
        return result["partialFingerprints"][sarif.FINGERPRINT]

    def write(self, folder, text):
        folder.mkdir(exist_ok=True)
        (folder / "pump.py").write_text(text)
        return folder / "pump.py"

    def test_survives_another_run_another_checkout_and_lines_above(self, tmp_path):
        here = self.write(tmp_path / "here", "while x:\n    pass\n")
        there = self.write(tmp_path / "there", "# new\nif y:\n  while x:\n    pass\n")
        other = replace(PUMP, key=ProcessKey(1, 2), argv=("python3", "-O"))
        assert self.of(a_spin(location=at(here, 1)), here.parent) == self.of(
            a_spin(location=at(there, 3), process=other, confidence=0.5, onset_ns=1), there.parent
        )

    def test_differs_for_another_line_cause_or_test(self, tmp_path):
        path = self.write(tmp_path / "here", "while x:\n    pass\n")
        spin = a_spin(location=at(path, 1))
        others = [
            replace(spin, location=at(path, 2)),
            replace(spin, test="another"),
            replace(spin, kind=Kind.STUCK),
            replace(spin, location=None),
        ]
        fingerprints = {self.of(finding, path.parent) for finding in [spin, *others]}
        assert len(fingerprints) == 5
