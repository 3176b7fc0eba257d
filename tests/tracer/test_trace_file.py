"""`.trace` files: what was written comes back, and what is none is refused with a fix."""

import gzip
import json
import random
from dataclasses import fields, is_dataclass, replace

import pytest

from linnix_ls import app
from linnix_ls.cli.main import main
from linnix_ls.core.events import (
    CpuUsed,
    Dismissed,
    Event,
    EventsLost,
    Examined,
    Execed,
    Exited,
    Forked,
    Ignored,
    ProbesReplaced,
    ProcessSeen,
    Sampled,
    Ticked,
    Unwatched,
    Watched,
)
from linnix_ls.core.examination import (
    Depth,
    Examination,
    MemoryGrowth,
    MemoryProgress,
    PlaceHint,
    ProcessFacts,
    StackFrame,
    StackSnapshot,
    SyscallCount,
    ThreadMotion,
    Wait,
)
from linnix_ls.core.ids import ProcessKey
from linnix_ls.errors import TraceFileError
from linnix_ls.tracer import trace_file
from linnix_ls.tracer.trace_file import TraceHeader, TraceWriter, read_trace

RUN, CHILD = ProcessKey(10, 1), ProcessKey(11, 2)
HEADER = TraceHeader("bcc", None, ("pytest", "-q"), "/ws", "2026-01-31T12:00:00.000Z", 5)
FACTS = ProcessFacts(
    CHILD, ("python3", "straße.py"), "/usr/bin/python3", "/ws", "t.py::test_x[\\xff]"
)
EXAMINATION = Examination(
    3, CHILD, Depth.MEASURE, False, 0.7, FACTS, (FACTS,),
    on_cpu_cores=0.98, runnable_cores=1.0, user_share=0.5, n_threads=1,
    voluntary_switches_per_s=0.0, rss_bytes=1 << 40, rss_growth_bytes_per_s=-1.5,
    syscalls=(SyscallCount("openat", 1, 2, 3, 4, 1, "/ws/\udcff", 1),), language="python",
    memory=MemoryProgress(9, 8, 7, 6, 5), growth=MemoryGrowth(9, 8, 0.5, 64, 7, 0.25),
    motions=(ThreadMotion(11, 12, 0),), interpreter_share=0.25, deadlock=(("up", "down"),),
    stacks=(
        StackSnapshot(
            11, (StackFrame("f", "/ws/a.py", 3, True, ((1, 9),), False, ("g",), True),),
            -(1 << 62), True, "regex",
            condition_hash=3, instruction=1 << 40, round_hashes=(4, 5),
        ),
    ),
    hints=(PlaceHint("/ws/Makefile", 3, None, 0.5, "why", end_line=4),),
    waits=(Wait(CHILD, 11, "read", "a pipe", (RUN,), True),),
    listening=("127.0.0.1:80",), notes=("py-spy: no answer",),
)  # fmt: skip
EVENTS = (
    Watched(5, RUN, "pytest", True, True),
    ProcessSeen(6, RUN, None, 1000, "pytest", ("pytest", "-q", "", "a\nb\x1b[2J"), None, "/ws"),
    Ignored(7, ProcessKey(99, 1)),
    Forked(8, CHILD, RUN, 1000, "pytest"),
    Execed(9, CHILD, RUN, 1000, "python3", ("python3",), True, "/usr/bin/python3", None),
    Sampled(10, CHILD, 12, 10**7, (2**64 - 1, 0x7FFF), (2**64 - 2,), 2**64 - 1),
    CpuUsed(11, CHILD, 10**8),
    Ticked(12, 2, None),
    Ticked(13, 2, 7),
    EventsLost(14, 3),
    ProbesReplaced(14, 2),
    Examined(15, EXAMINATION),
    Dismissed(16, "f1"),
    Exited(17, CHILD, None, 9),
    Exited(18, RUN, 1, None),
    Unwatched(19, RUN),
)


def write(path, events=EVENTS, header=HEADER, exit_code=1):
    with TraceWriter(path, header) as writer:
        writer.write(events)
        writer.exit_code = exit_code
    return path


def lines_of(path):
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def read_or_refuse(path):
    """The recording, or None where it was refused in words."""
    try:
        return read_trace(path)
    except TraceFileError as error:
        return None if error.fix else error


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.trace"


# -- there and back ------------------------------------------------------------------------------


def test_every_event_comes_back_as_it_was(path):
    assert {type(event) for event in EVENTS} == set(Event.__args__)
    trace = read_trace(write(path))
    assert trace.events == EVENTS
    assert (trace.header, trace.exit_code, trace.is_truncated) == (HEADER, 1, False)


def test_the_examination_in_the_test_above_leaves_no_kind_of_field_out():
    """So that a new field, or one of another type, is written and read there too."""
    used = {field.name for field in fields(EXAMINATION) if getattr(EXAMINATION, field.name)}
    nested = {
        field.name
        for field in fields(EXAMINATION)
        if isinstance(getattr(EXAMINATION, field.name), tuple)
        or is_dataclass(getattr(EXAMINATION, field.name))
    }
    assert nested <= used | {"native_stacks"}


def test_a_recording_of_nothing_is_whole(path):
    trace = read_trace(write(path, events=(), exit_code=None))
    assert (trace.events, trace.exit_code, trace.is_truncated) == ((), None, False)


def test_the_same_events_make_the_same_file(tmp_path):
    (tmp_path / "b").mkdir()
    first, second = (write(folder / "a.trace") for folder in (tmp_path, tmp_path / "b"))
    assert first.read_bytes() == second.read_bytes()


def test_a_recorder_that_dies_leaves_a_truncated_file(path):
    def record():
        with TraceWriter(path, HEADER) as writer:
            writer.write(EVENTS[:4])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        record()
    trace = read_trace(path)
    assert (trace.events, trace.is_truncated) == (EVENTS[:4], True)


def test_a_path_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(TraceFileError, match="cannot write"):
        TraceWriter(tmp_path / "no" / "a.trace", HEADER)


def test_a_full_disk_is_an_error_of_the_same_kind():
    def fill():
        with TraceWriter(trace_file.Path("/dev/full"), HEADER) as writer:
            writer.write(EVENTS * 1_000)

    with pytest.raises(TraceFileError, match="No space left"):
        fill()


# -- cut off -------------------------------------------------------------------------------------


def test_wherever_it_is_cut_what_is_whole_is_read(path):
    many = EVENTS * 20
    whole = write(path, events=many).read_bytes()
    n_read = []
    for end in range(11, len(whole), 7):
        path.write_bytes(whole[:end])
        trace = read_or_refuse(path)
        if trace is None:
            assert not n_read
            continue
        # Of the last bytes only the checksum can miss.
        assert trace.is_truncated or trace.events == many
        assert trace.events == many[: len(trace.events)]
        n_read.append(len(trace.events))
    assert n_read == sorted(n_read)
    assert n_read[-1] > len(many) * 0.9


def test_lines_that_are_missing_are_noticed(path):
    lines = lines_of(write(path))
    path.write_bytes(gzip.compress(b"".join(lines[:5] + lines[7:])))
    assert read_trace(path).is_truncated
    path.write_bytes(gzip.compress(b"".join(lines[:-1])))
    assert read_trace(path).is_truncated
    path.write_bytes(gzip.compress(b"".join(lines)[:-30]))
    assert read_trace(path).is_truncated


def test_damage_in_the_middle_ends_it_there(path):
    source = random.Random(1)
    many = [replace(EVENTS[5], ktime_ns=source.getrandbits(60)) for _ in range(40_000)]
    raw = bytearray(write(path, events=many).read_bytes())
    raw[len(raw) - 1_000] ^= 0xFF
    path.write_bytes(raw)
    trace = read_trace(path)
    assert trace.is_truncated
    assert 10_000 < len(trace.events) < 40_000
    assert trace.events == tuple(many[: len(trace.events)])


# -- something else ------------------------------------------------------------------------------

FOREIGN = {
    "nothing": b"",
    "text": b"hello\n",
    "an ELF file": b"\x7fELF\x02\x01\x01" + bytes(100),
    "gzip's first bytes": b"\x1f\x8b\x08",
    "other things in gzip": gzip.compress(b"hello\n" * 1000),
    "bytes in gzip": gzip.compress(bytes(range(256))),
    "JSON in gzip": gzip.compress(b'{"a": 1}\n'),
    "a list in gzip": gzip.compress(b"[1, 2]\n"),
    "a number in gzip": gzip.compress(b"5\n"),
    "another schema": gzip.compress(b'{"schema": "linnix-trace/99"}\n'),
    "a schema that is no text": gzip.compress(b'{"schema": ["linnix-trace/1"]}\n'),
    "a header without fields": gzip.compress(b'{"schema": "linnix-trace/1"}\n'),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_refused_with_what_to_do(path, content):
    path.write_bytes(content)
    with pytest.raises(TraceFileError) as caught:
        read_trace(path)
    assert str(path) in caught.value.message
    assert "--record" in caught.value.fix


def test_a_missing_file_a_folder_and_a_forbidden_file_are_refused(tmp_path, path):
    with pytest.raises(TraceFileError, match="no such file"):
        read_trace(path)
    with pytest.raises(TraceFileError, match="cannot read"):
        read_trace(tmp_path)


# -- hostile -------------------------------------------------------------------------------------

HEADER_FIELDS = {
    "schema": "linnix-trace/1", "tracer": "bcc", "degraded": None, "command": ["x"], "cwd": "/",
    "started_at": "2026-01-31T12:00:00.000Z", "started_ns": 5,
}  # fmt: skip


def a_file(path, *lines, header=HEADER_FIELDS):
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_bytes(gzip.compress(f"{json.dumps(header)}\n{text}\n".encode()))
    return path


FORK = {"ktime_ns": 5, "key": [11, 2], "parent": [10, 1], "uid": 0, "comm": "x"}
HOSTILE = {
    "an unknown event": {"Launched": {}},
    "two events in one": {"Forked": FORK, "Exited": FORK},
    "no event": {},
    "a list": ["end"],
    "a text": '"end"',
    "a number": "5",
    "null": "null",
    "an end that is no number": {"end": "all", "exit_code": 0},
    "an exit code that is none": {"end": 0, "exit_code": [1]},
    "a field too few": {"Forked": {k: v for k, v in FORK.items() if k != "uid"}},
    "a field of another type": {"Forked": {**FORK, "uid": "root"}},
    "a key that is none": {"Forked": {**FORK, "key": 11}},
    "a number no clock shows": json.dumps({"Forked": FORK}).replace("5", "9" * 400),
    "a number too long to read": json.dumps({"Forked": FORK}).replace("5", "9" * 40_000),
    "not a number": '{"Examined": {"ktime_ns": NaN}}',
    "without an end": '{"Examined": {"ktime_ns": 1e999}}',
    "deep nesting": "[" * 200_000 + "]" * 200_000,
    "deep nesting in a field": json.dumps({"Forked": FORK}).replace('"x"', '{"a":' * 100_000),
}


@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_line_is_refused_or_ends_the_recording(path, line):
    a_file(path, {"Forked": FORK}, line, {"end": 2, "exit_code": 0})
    trace = read_or_refuse(path)
    assert trace is None or (trace.is_truncated and len(trace.events) == 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"started_at": "yesterday"},
        {"started_at": None},
        {"started_ns": "soon"},
        {"started_ns": 1e300},
        {"command": "pytest"},
        {"command": [1]},
        {"command": None},
        {"degraded": ["x"]},
        {"tracer": {}},
        {"cwd": 5},
    ],
)
def test_a_hostile_header_is_refused(path, changed):
    a_file(path, header=HEADER_FIELDS | changed)
    with pytest.raises(TraceFileError) as caught:
        read_trace(path)
    assert caught.value.fix


def test_an_unending_line_is_not_held_in_memory(path, monkeypatch):
    monkeypatch.setattr(trace_file, "MAX_LINE_BYTES", 1 << 16)
    a_file(path, {"Forked": {**FORK, "comm": "x" * (1 << 20)}}, {"end": 1, "exit_code": 0})
    trace = read_trace(path)
    assert (trace.events, trace.is_truncated) == ((), True)


def test_a_bomb_is_refused(path, monkeypatch):
    monkeypatch.setattr(trace_file, "MAX_TRACE_BYTES", 1 << 20)
    write(path, events=[replace(EVENTS[3], ktime_ns=n) for n in range(20_000)])
    assert path.stat().st_size < 1 << 20
    with pytest.raises(TraceFileError, match="too large"):
        read_trace(path)


# Well-formed, and still no kernel would tell it.
ABSURD = {
    "no CPUs": (Ticked(10**10, 0, 5), Ticked(2 * 10**10, -3, -5)),
    "time before time": (Ticked(-(10**18), 1), Sampled(-(10**18), CHILD, 1, -(10**18))),
    "its own parent": (Forked(6, CHILD, CHILD, 0, "x"), Forked(6, RUN, RUN, 0, "x")),
    "a circle": (
        ProcessSeen(6, CHILD, RUN, 0, "x", ()),
        Ignored(7, RUN),
        ProcessSeen(8, RUN, CHILD, 0, "x", ()),
    ),
    "a process that ends twice and goes on": (
        *(Exited(7, CHILD, None, None),) * 2,
        Execed(8, CHILD, None, 0, "", ()),
        Sampled(8, CHILD, 1, 2**62),
    ),
    "answers that nobody asked for": (Examined(9, EXAMINATION), Dismissed(9, "")),
    "the far future": (Ticked(2**63, 2**62, 2**62), Sampled(2**63, CHILD, 1, 2**63)),
}


@pytest.mark.parametrize("story", ABSURD.values(), ids=ABSURD)
def test_an_absurd_recording_is_played_like_any_other(path, capfd, story):
    events = [*EVENTS[:4], *story]
    for n in range(3):
        events += [*story, Ticked(10**9 * n, 2, 1)]
    write(path, events=events)
    assert main(["replay", str(path), "--json", "-"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["findings"] == []
    assert "raised" not in err


@pytest.mark.asyncio
async def test_replay_says_that_a_file_was_cut(path):
    whole = write(path, events=EVENTS * 20).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    feed, trace = await app.replay_feed(path)
    assert "cut off" in feed.snapshot().status.degraded
    assert trace.is_truncated
    await feed.close()
