import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from linnix_ls import __version__
from linnix_ls.core.findings import Cause, Kind, Severity
from linnix_ls.report.document import Document, build, iso_time, to_json
from tests.report.samples import FACTS, PUMP, SPIN, STARTED_NS, STATUS, a_spin

DOCS = Path(__file__).parents[2] / "docs" / "findings-document.md"


def written(*findings, facts=FACTS, status=STATUS):
    return json.loads(to_json(build(facts, status, findings)).decode("utf-8"))


def test_is_what_the_contract_says():
    assert written(SPIN) == {
        "schema": "linnix-findings/1",
        "tool": {"name": "linnix-ls", "version": __version__},
        "tracer": "bcc",
        "degraded": None,
        "command": ["pytest", "-q"],
        "cwd": "/ws",
        "exit_code": 1,
        "started_at": "2026-01-31T12:00:00.000Z",
        "duration_s": 9.8,
        "events": {"received": 5123, "lost": 0, "processes": 88},
        "findings": [
            {
                "id": "f1",
                "kind": "cpu_spin",
                "cause": "busy_poll",
                "severity": "warning",
                "confidence": 0.93,
                "process": {
                    "pid": 4412,
                    "start_ticks": 991234,
                    "ppid": 4400,
                    "comm": "python3",
                    "exe": "/usr/bin/python3",
                    "argv": ["python3", "pump.py"],
                    "cwd": "/ws",
                },
                "ancestry": [{"pid": 4400, "comm": "pytest", "argv": ["pytest", "-q"]}],
                "location": {
                    "path": "/ws/pump.py",
                    "line": 41,
                    "end_line": 43,
                    "function": "drain",
                    "confidence": 0.9,
                    "reason": "python stack, 97 of 99 samples",
                },
                "other_locations": [
                    {"path": "/ws/tests/test_pump.py", "line": 12, "role": "test"},
                    {"path": "/ws/tests/helpers.py", "line": 7, "role": "spawn_site"},
                ],
                "test": "tests/test_pump.py::test_drain",
                "onset_s": 1.2,
                "flagged_s": 2.6,
                "cleared_s": None,
                "evidence": [
                    {
                        "id": "e1",
                        "name": "on_cpu_cores",
                        "value": 0.99,
                        "unit": "cores",
                        "window_s": 2.0,
                        "source": "cpu_clock samples",
                    },
                    {
                        "id": "e2",
                        "name": "commonest_syscall",
                        "value": "epoll_wait",
                        "unit": "name",
                        "window_s": 2.0,
                        "source": "sys_exit probe",
                    },
                ],
                "explanation": {
                    "by": "rules",
                    "summary": "drain() asks an empty queue again and again",
                    "why": "It used 0.99 cores.",
                    "fix": ["Wait in the call.", "Or sleep."],
                    "cites": ["e1"],
                    "otherwise": "",
                },
            }
        ],
    }


def test_what_is_not_known_is_null():
    finding = a_spin(
        location=None,
        other_locations=(),
        explanation=None,
        test=None,
        process=replace(PUMP, ppid=None, exe=None, cwd=None),
    )
    [entry] = written(finding, facts=replace(FACTS, exit_code=None))["findings"]
    assert (entry["location"], entry["explanation"], entry["test"]) == (None, None, None)
    assert (entry["process"]["ppid"], entry["process"]["exe"], entry["process"]["cwd"]) == (
        (None,) * 3
    )


def test_times_are_seconds_after_the_start_and_never_before_it():
    [entry] = written(a_spin(onset_ns=STARTED_NS - 1, ended_ns=STARTED_NS + 9_123_456_789))[
        "findings"
    ]
    assert (entry["onset_s"], entry["cleared_s"]) == (0.0, 9.123)


def test_a_whole_number_stays_one():
    evidence = (replace(SPIN.evidence[0], value=12),)
    [entry] = written(a_spin(evidence=evidence))["findings"]
    assert repr(entry["evidence"][0]["value"]) == "12"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("a\nb", "a\nb"),
        ("\x1b[31m", "\x1b[31m"),
        ("\udcff", "\\xff"),
        ("\ud83d", "\\ud83d"),
        ('"\\', '"\\'),
    ],
)
def test_is_valid_utf_8_whatever_a_process_is_called(argument, expected):
    process = replace(PUMP, argv=("python3", argument), comm=argument, cwd=argument)
    facts = replace(FACTS, command=(argument,), cwd=argument)
    document = written(a_spin(process=process), facts=facts)
    assert document["command"] == [expected]
    assert document["findings"][0]["process"]["argv"][1] == expected


def test_times_of_day_are_in_utc():
    there = timezone(timedelta(hours=2))
    assert iso_time(datetime(2026, 1, 31, 14, 0, 0, 999, there)) == "2026-01-31T12:00:00.000Z"


def sections_of(model, name="The document"):
    """Each object of the document: the heading it should have, and its fields."""
    yield name, {field.serialization_alias or key for key, field in model.model_fields.items()}
    for key, field in model.model_fields.items():
        for part in [field.annotation, *get_args(field.annotation)]:
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from sections_of(part, f"`{key}`")


class TestDocs:
    def test_describe_every_field_of_every_object_and_no_other(self):
        described = {}
        for line in DOCS.read_text("utf-8").splitlines():
            if line.startswith("## "):
                described[line[3:]] = set()
            elif line.startswith("| `") and line.count("|") == 4:
                described[list(described)[-1]].add(line.split("`")[1])
        assert described == dict(sections_of(Document))

    @pytest.mark.parametrize("values", [Kind, Cause, Severity])
    def test_name_every_value(self, values):
        text = DOCS.read_text("utf-8")
        assert [value for value in values if f"`{value}`" not in text] == []

    def test_show_an_example_of_the_right_shape(self):
        text = DOCS.read_text("utf-8")
        example = json.loads(text.partition("```json\n")[2].partition("```")[0])
        ours = written(SPIN)

        def shape(value):
            if isinstance(value, dict):
                return {key: shape(part) for key, part in value.items()}
            return [shape(value[0])] if isinstance(value, list) and value else None

        assert shape(example) == shape(ours)
