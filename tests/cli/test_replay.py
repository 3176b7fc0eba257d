import json

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
