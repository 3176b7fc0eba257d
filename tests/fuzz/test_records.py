"""Bytes from the kernel, from the process that holds the probes, and of recordings."""

import contextlib
import ctypes
import gzip
import json
import os
import struct
from dataclasses import fields
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnix_ls.codec import CodecError, TaggedCodec
from linnix_ls.core.events import Event, Examined
from linnix_ls.errors import TraceFileError
from linnix_ls.tracer import decode, wire
from linnix_ls.tracer.bcc_worker import FRAME_HEAD, FRAME_RECORDS, Frames
from linnix_ls.tracer.ring_buffer import records_in
from linnix_ls.tracer.seam import Seam, Side
from linnix_ls.tracer.trace_file import TraceHeader, TraceWriter, read_trace
from tests.fuzz.strategies import damaged, damaged_json, json_values, pieces

CODEC = TaggedCodec(*get_args(Event))
BRIEF_EVENTS = tuple(each for each in get_args(Event) if each is not Examined)
KINDS = list(wire.EventKind)
STRUCTURES = (wire.ForkEvent, wire.ExecEvent, wire.ExitEvent, wire.SampleEvent)
HEADER = TraceHeader("bcc", None, ("pytest",), "/ws", "2026-01-31T12:00:00.000Z", 1)


def names_any(structure):
    """Any bytes of the size of a structure, with the kind of one."""
    kind = st.sampled_from(KINDS)
    at = wire.EventHeader.kind.offset
    size = ctypes.sizeof(structure)

    def record(kind, raw):
        raw = raw.ljust(size, b"\xff")
        return raw[:at] + bytes([kind]) + raw[at + 1 :]

    return st.builds(record, kind, st.binary(max_size=size))


records = st.binary(max_size=600) | st.one_of(*map(names_any, STRUCTURES))


@given(records)
def test_any_record_is_an_event_or_none_and_survives_the_socket(record):
    event = decode.decode(record)
    decode.kind_of(record), decode.structure_of(record)
    if event is not None:
        wired = json.loads(json.dumps(CODEC.dump(event)).encode())
        assert CODEC.load(wired) == event


@given(records, st.integers(0, 300))
def test_a_record_that_is_cut_off_tells_no_more_than_a_whole_one(record, length):
    decode.decode(record[:length])


@given(st.lists(st.tuples(st.sampled_from(list(Side)), st.lists(records, max_size=5)), max_size=8))
def test_a_seam_passes_on_no_record_twice(told):
    seam = Seam()
    passed = [record for side, batch in told for record in seam.take(side, batch)]
    assert len(passed) <= sum(len(batch) for _, batch in told)


@given(st.lists(st.tuples(st.binary(max_size=300), st.booleans()), max_size=50))
def test_records_come_out_of_a_frame_as_they_went_in(written):
    piece = b"".join(
        struct.pack("<II", len(record) | (1 << 30 if is_discarded else 0), 0)
        + record
        + bytes(-len(record) % 8)
        for record, is_discarded in written
    )
    reading, writing = os.pipe()
    with open(reading, "rb") as out:
        Frames(writing).records(piece)
        os.close(writing)
        length, kind = FRAME_HEAD.unpack(out.read(FRAME_HEAD.size))
        assert kind == FRAME_RECORDS
        received = records_in(out.read(length))
    assert received == [record for record, is_discarded in written if not is_discarded]


@pytest.mark.parametrize("event_type", get_args(Event), ids=lambda each: each.__name__)
def test_events_of_any_content_come_back_as_they_were(event_type):
    @settings(max_examples=settings.default.max_examples // 6)
    @given(st.from_type(event_type))
    def comes_back(event):
        assert CODEC.load(json.loads(json.dumps(CODEC.dump(event)))) == event

    comes_back()


EVENT = {
    "Execed": {
        "ktime_ns": 5, "key": [7, 8], "parent": [1, 2], "uid": 0, "comm": "sh",
        "argv": ["sh", "-c"], "argv_truncated": False, "exe": "/bin/sh", "cwd": "/",
    }
}  # fmt: skip


@given(json_values | damaged_json(EVENT))
def test_what_is_no_event_is_refused_in_words(value):
    with contextlib.suppress(CodecError):
        CODEC.load(value)


# -- recordings ----------------------------------------------------------------------------------

GOOD = b"".join(
    json.dumps(line).encode() + b"\n"
    for line in (
        {
            "schema": "linnix-trace/1",
            "tool": "0",
            **{f.name: getattr(HEADER, f.name) for f in fields(HEADER)},
        },
        EVENT,
        {"end": 1, "exit_code": 0},
    )
)


def read_or_refused(path, content):
    path.write_bytes(content)
    try:
        return read_trace(path)
    except TraceFileError:
        return None


def test_the_good_recording_is_one(tmp_path):
    trace = read_or_refused(tmp_path / "a.trace", gzip.compress(GOOD))
    assert len(trace.events) == 1 and not trace.is_truncated


@given(damaged(GOOD.decode()) | pieces('{"schema":', "linnix-trace/1", '{"end":', '{"Execed":'))
def test_a_recording_of_any_text_is_read_or_refused(tmp_path, text):
    content = text.encode("utf-8", "surrogatepass")
    read_or_refused(tmp_path / "a.trace", gzip.compress(content, 1))


@given(damaged(gzip.compress(GOOD)) | st.binary(max_size=100))
def test_a_recording_of_any_bytes_is_read_or_refused(tmp_path, content):
    read_or_refused(tmp_path / "a.trace", content)


@settings(max_examples=settings.default.max_examples // 2)
@given(st.lists(st.one_of(*map(st.from_type, BRIEF_EVENTS)), max_size=3))
def test_what_is_recorded_is_read_back(tmp_path, events):
    path = tmp_path / "a.trace"
    with TraceWriter(path, HEADER) as writer:
        writer.write(events)
        writer.exit_code = 3
    trace = read_trace(path)
    assert (trace.events, trace.exit_code, trace.is_truncated) == (tuple(events), 3, False)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("[" * 100_000, id="deep list"),
        pytest.param('{"a":' * 100_000, id="deep object"),
        pytest.param("9" * 100_000, id="many digits"),
        pytest.param("-" + "9" * 50, id="negative"),
        pytest.param("1e400", id="beyond floats"),
        pytest.param("[1" + ",1" * 50_000 + "]", id="long"),
    ],
)
def test_a_line_that_is_hard_to_parse_is_refused(tmp_path, line):
    content = GOOD.replace(b'{"end"', line.encode() + b'\n{"end"')
    assert read_or_refused(tmp_path / "a.trace", gzip.compress(content, 1)) is None
