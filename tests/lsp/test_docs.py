"""docs/lsp.md and the code say the same: methods, commands, settings, and every field."""

import io
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import attrs
import pytest

from linnix_ls.config import Settings, parse_settings
from linnix_ls.core.events import Source
from linnix_ls.core.examination import StackFrame
from linnix_ls.core.findings import Edit, Note, Patch, Severity
from linnix_ls.core.history import Curves, RunDetail, RunSummary, Span
from linnix_ls.core.ids import ProcessKey
from linnix_ls.feed.base import ProcessView, StackView, ThreadStack
from linnix_ls.lsp import ext
from linnix_ls.lsp.connection import Connection
from linnix_ls.lsp.explaining import Explaining, open_no_notes
from linnix_ls.lsp.server import build_server
from linnix_ls.report.document import FindingEntry
from tests.lsp.memory_feed import WATCHING, a_finding, a_place
from tests.test_extension_settings import nested

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "lsp.md").read_text()
EDITORS = (DOCS / "editors.md").read_text()
SECTIONS = dict(re.findall(r"^### `([^`]+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))

FINDING = a_finding(other_locations=(a_place("/t.py", 1, "test"),))
FINDING_OBJECT = ext.finding_object(FINDING, Severity.WARNING, 0, "file:///x")
NOTED = replace(
    FINDING,
    explanation=replace(
        FINDING.explanation,
        note=Note("m", "Wait.", ("e1",), Patch("m", "Wait", (Edit("/x.py", 1, "a", "b"),))),
    ),
)
EXPLAINING = Explaining(open_no_notes, lambda _: None, lambda _: None, lambda _: None)
VIEW = ProcessView(
    key=FINDING.process.key,
    parent=ProcessKey(1, 1),
    run=ProcessKey(1, 1),
    comm="x",
    argv=("x",),
    cwd="/",
    on_cpu_cores=0.0,
    age_s=0.0,
    exit_code=None,
    term_signal=None,
    has_ended=False,
)

SUMMARY = RunSummary(
    key=ProcessKey(1, 1), label=None, source=Source.TASK, comm="x", argv=("x",), cwd="/",
    began_ns=0, ended_ns=None, duration_s=0.0, exit_code=None, term_signal=None, n_processes=1,
    n_alive=1, on_cpu_cores=0.0, cpu_s=0.0, rss_bytes=None, peak_cores=0.0, peak_processes=1,
    peak_rss_bytes=None, findings=(FINDING,),
)  # fmt: skip
RUN_OBJECT = ext.run_object(SUMMARY, [(FINDING, Severity.WARNING)], 0)
SPAN = Span(ProcessKey(2, 2), ProcessKey(1, 1), "x", ("x",), 0.0, None, None, None, 0.0, 0, ("f1",))
DETAIL = RunDetail(1, True, True, SUMMARY, (SPAN,), 0, Curves((0.0,), (0.0,), (1,), (None,)))
STACK = StackView(
    (ThreadStack(1, True, (StackFrame("drain", "/pump.py", 1, is_user_code=True),)),), None, 0.0
)


def samples(method):
    return [
        json.loads(text) for text in re.findall(r"```json\n(.*?)```", SECTIONS[method], re.DOTALL)
    ]


def shape(value):
    """Names, nested; what the values are does not matter."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [shape(value[0])] if value else []
    return None


@pytest.mark.asyncio
async def test_every_method_and_command_has_a_section_and_no_other_has():
    nothing = io.BytesIO()
    manager = build_server(None, Connection(nothing, nothing)).protocol.fm
    methods = {method for method in manager.features if method.startswith(ext.PREFIX)}
    methods |= {
        ext.DID_CHANGE_STATUS,
        ext.DID_CHANGE_FINDINGS,
        ext.NOTE_PROGRESS,
        ext.PROBES_CHANGED,
    }
    assert set(SECTIONS) == methods | set(manager.commands)
    named = {value for name, value in vars(ext).items() if str(value).startswith(ext.PREFIX)}
    assert named - {ext.PREFIX} == methods


def test_every_setting_is_in_the_table_with_its_default_and_no_other_is():
    rows = re.findall(r"^\| `linnix\.([\w.]+)` \|[^|]*\| `([^`]+)` \|", PAGE, re.MULTILINE)
    documented = nested((name, json.loads(default)) for name, default in rows)
    assert documented == Settings().model_dump(mode="json")


@pytest.mark.parametrize(
    ("method", "objects"),
    [
        (ext.STATUS, [ext.status_object(WATCHING, EXPLAINING.status_object())]),
        (ext.FINDINGS, [{"findings": [FINDING_OBJECT]}]),
        (ext.DID_CHANGE_FINDINGS, [{"findings": [], "removed": [FINDING.id]}]),
        (ext.PROCESS_TREE, [ext.process_tree_object([VIEW], [FINDING])]),
        (ext.RUNS, [{"runs": [RUN_OBJECT]}]),
        (
            ext.RUN,
            [
                {"run": {"pid": 1, "start_ticks": 1}, "since": 1},
                ext.run_detail_object(DETAIL, {}, []),
            ],
        ),
        (ext.STACK, [{"pid": 1, "start_ticks": 1}, ext.stack_object(STACK, lambda path: path)]),
        (ext.WATCH_TAG, [attrs.asdict(ext.WatchTagParams("x" * 8))]),
        (ext.UNWATCH_TAG, [attrs.asdict(ext.UnwatchTagParams("x" * 8))]),
        (ext.NOTE_PROGRESS, [ext.note_progress_object("f1", "")]),
        ("linnix.explain", [ext.explanation_object(NOTED, "")]),
        ("linnix.reproduce", [{"command": ""}]),
        (ext.WATCH, [attrs.asdict(ext.WatchParams(1)), ext.key_object(ProcessKey(1, 1))]),
        (ext.UNWATCH, [{"pid": 1}]),
    ],
)
def test_the_samples_have_the_fields_of_the_real_objects(method, objects):
    documented = [shape(sample) for sample in samples(method)]
    real = [shape(each) for each in objects]
    assert documented == real


def test_the_samples_are_accepted_as_parameters():
    assert ext.structure(samples(ext.WATCH)[0], ext.WatchParams).label == "task: test"
    assert ext.structure(samples(ext.UNWATCH)[0], ext.UnwatchParams).pid == 4400


def test_a_finding_has_the_fields_of_the_findings_document_but_for_its_times():
    entry = FindingEntry.model_validate(FINDING, context=0).model_dump(mode="json")
    document = {name: value for name, value in entry.items() if not name.endswith("_s")}
    ours = {name: FINDING_OBJECT[name] for name in document}
    ours["location"] = {k: v for k, v in ours["location"].items() if k != "uri"}
    assert shape(ours) == shape(document)


def settings_within(value):
    """Every `linnix` object with settings in it."""
    if not isinstance(value, dict):
        return []
    found = [inner for each in value.values() for inner in settings_within(each)]
    mine = value.get("linnix")
    return [*found, mine] if isinstance(mine, dict) and "command" not in mine else found


def test_the_set_ups_for_editors_parse_and_have_settings_that_are_known():
    samples = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", EDITORS, re.DOTALL)]
    samples += [
        tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", EDITORS, re.DOTALL)
    ]
    assert len(samples) == 3
    for sample in samples:
        [settings] = settings_within(sample)
        assert parse_settings(settings)[1] == []
