import json
from pathlib import Path

import pytest

from linnix_ls.cli.main import main
from linnix_ls.core.events import Exited, ProcessSeen, Watched
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.tracer.trace_file import TraceHeader, TraceWriter

RUN = ProcessKey(4400, 991200)
STARTED_NS = 50 * NS_PER_S
EVENTS = (
    Watched(STARTED_NS - 5, RUN, "true", is_root_judged=True, is_run=True),
    ProcessSeen(STARTED_NS - 4, RUN, None, 0, "true", ("true", "\udcff"), "/bin/true", "/ws"),
    Exited(STARTED_NS + NS_PER_S, RUN, exit_code=3, term_signal=None),
)


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "r.trace"
    header = TraceHeader(
        tracer="bcc",
        degraded=None,
        command=("true", "\udcff"),
        cwd="/ws",
        started_at="2026-01-31T12:00:00.000Z",
        started_ns=STARTED_NS,
    )
    with TraceWriter(path, header) as writer:
        writer.write(EVENTS)
        writer.exit_code = 3
    return path


def replay(capfd, *words):
    exit_code = main(["replay", *map(str, words)])
    return exit_code, *capfd.readouterr()


def test_shows_what_run_would_and_writes_the_same_document(trace, capfd):
    exit_code, out, err = replay(capfd, trace, "--json", "-")
    assert exit_code == 0
    assert err == (
        "linnix: no runaways · 1 process watched · 1 event, 0 lost · tracer bcc · 1.0 s\n"
    )
    document = json.loads(out)
    assert document["command"] == ["true", "\\xff"]
    assert (document["cwd"], document["exit_code"], document["tracer"]) == ("/ws", 3, "bcc")
    assert document["started_at"] == "2026-01-31T12:00:00.000Z"
    assert document["duration_s"] == 1.0


def test_a_truncated_recording_is_replayed_as_far_as_it_is_whole(trace, capfd):
    trace.write_bytes(trace.read_bytes()[:-12])
    exit_code, out, err = replay(capfd, trace, "--json", "-")
    assert exit_code == 0
    assert "linnix: degraded: the recording is cut off" in err
    assert "cut off" in json.loads(out)["degraded"]


TRACES = Path(__file__).parents[1] / "traces"


def kinds_found(capfd, *words):
    exit_code, out, _ = replay(capfd, *words, "--json", "-")
    assert exit_code == 0
    return [finding["kind"] for finding in json.loads(out)["findings"]]


def test_thresholds_decide_what_is_found_in_a_recording(capfd):
    trace = TRACES / "parcels-supervisor.trace"
    assert kinds_found(capfd, trace) == ["fork_storm"]
    strict = ("--threshold", "storm.min_starts=100000", "--threshold", "storm.long_window_s=0.5")
    assert kinds_found(capfd, *strict, trace) == []


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("storm.min_starts", "storm.min_starts: that is no NAME=NUMBER"),
        ("storm.min_starts=", "storm.min_starts=: that is no NAME=NUMBER"),
        ("storm.min_starts=many", "storm.min_starts=many: that is no NAME=NUMBER"),
        ("storm.min_starts=" + "[" * 100_000, "that is no NAME=NUMBER"),
        ("storm.min_starts=0", "storm.min_starts: Input should be greater than 0"),
        ("storm.same_argv_share=1.5", "storm.same_argv_share: Input should be less than or equal"),
        ("storm.min_start=3", "storm.min_start: there is none; did you mean storm.min_starts\n"),
        ("=3", "did you mean"),
        ("", ": that is no NAME=NUMBER"),
        ("calm_s.x=3", "calm_s: Input should be a valid number"),
        ("max_examinations=9", "max_examinations: Input should be less than or equal to 8"),
    ],
    ids=lambda text: text[:30],
)
@pytest.mark.parametrize("subcommand", ["replay", "run"])
def test_a_threshold_that_makes_no_sense_is_refused(trace, capfd, subcommand, assignment, message):
    words = {"replay": [trace], "run": ["--", "true"]}[subcommand]
    exit_code = main([subcommand, "--threshold", assignment, *map(str, words)])
    out, err = capfd.readouterr()
    assert (exit_code, out) == (2, "")
    assert err.startswith("linnix-ls: --threshold ")
    assert message in err
    assert "  fix: --threshold GROUP.NAME=NUMBER; docs/thresholds.md has all of them\n" in err


@pytest.mark.parametrize("content", [b"", b"text\n", b"\x7fELF", b"\x1f\x8b"])
def test_another_file_is_a_clear_error(tmp_path, capfd, content):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    exit_code, out, err = replay(capfd, path)
    assert (exit_code, out) == (2, "")
    assert err.startswith(f"linnix-ls: {path} is ")
    assert "  fix: record one with" in err


def test_a_missing_file_is_a_clear_error(tmp_path, capfd):
    assert replay(capfd, tmp_path / "no")[0] == 2
