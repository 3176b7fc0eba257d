from dataclasses import replace

from linnix_ls.core.events import Examined, Exited, Sampled
from linnix_ls.core.examination import Depth, Examination, StackSnapshot
from linnix_ls.core.ids import ProcessKey
from linnix_ls.tracer.trace_file import Trace, TraceHeader, read_trace
from tests.traces import compact

KEY = ProcessKey(7, 70)
HEADER = TraceHeader("bcc", None, ("make",), "/tmp/here", "2026-01-31T12:00:00Z", 1_234_567)


def sample(ktime_ns, registers_hash, *user_ips):
    return Sampled(ktime_ns, KEY, 7, 10, user_ips, (1, 2, 3), registers_hash)


def look(state_hash):
    return StackSnapshot(7, (), state_hash)


def trace(*events):
    return Trace(HEADER, events, 0, is_truncated=False)


def compacted(*events):
    return compact.compact(trace(*events)).events


def test_what_was_equal_stays_equal_and_nothing_else_is():
    events = compacted(sample(1, 2**60, 2**40), sample(2, 2**61, 2**41), sample(3, 2**60, 2**40))
    assert [event.registers_hash for event in events] == [2, 3, 2]
    assert [event.user_ips for event in events] == [(2,), (3,), (2,)]


def test_nothing_and_zero_stay_what_they_are():
    [event] = compacted(sample(1, 0))
    assert (event.registers_hash, event.user_ips, event.kernel_ips) == (0, (), ())


def test_states_are_numbered_over_all_looks():
    examination = Examination(1, KEY, Depth.MEASURE, is_gone=False, window_s=1.0, process=None)
    looks = (look(2**62), look(None), look(2**62), look(5))
    [event] = compacted(Examined(1, replace(examination, stacks=looks)))
    assert [stack.state_hash for stack in event.examination.stacks] == [2, None, 2, 3]


def test_times_are_in_whole_microseconds_and_in_order():
    events = compacted(Exited(1_999, KEY, 0, None), Exited(2_001, KEY, 0, None))
    assert [event.ktime_ns for event in events] == [1_000, 2_000]


def test_a_compact_recording_can_be_read_and_names_no_place_of_this_machine(tmp_path):
    path = tmp_path / "small"
    whole = trace(Exited(1_000, KEY, 0, None))
    compact.write(whole, path, {r"/tmp/\w+": "/stable"})
    read = read_trace(path)
    assert read.header == replace(HEADER, cwd="/stable")
    assert (read.events, read.exit_code, read.is_truncated) == (whole.events, 0, False)
