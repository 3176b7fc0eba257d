"""From bytes to events. The bytes come from the kernel, and may be any."""

import random

import pytest

from linnix_ls.core.events import Execed, Exited, Forked, Sampled
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.tracer import wire
from linnix_ls.tracer.decode import SAMPLE_PERIOD_NS, decode, is_watched_exec

AT, STARTED = 77 * NS_PER_S, 5 * NS_PER_S
KEY, PARENT = ProcessKey(12, 500), ProcessKey(11, 400)


def header(kind):
    return wire.EventHeader(
        ktime_ns=AT, start_boottime_ns=STARTED, tgid=12, tid=13, uid=1000, kind=kind
    )


def forked(comm=b"make"):
    return wire.ForkEvent(header(wire.EventKind.EVENT_FORK), 4 * NS_PER_S, 11, 0, comm)


def execed(argv=b"make\0-j4\0", *, total=None, filename=b"/usr/bin/make", is_watched=1):
    event = wire.ExecEvent(header(wire.EventKind.EVENT_EXEC), 4 * NS_PER_S, 11, is_watched)
    event.argv_len, event.argv_total_len = len(argv), len(argv) if total is None else total
    event.comm, event.filename = b"make", filename
    return bytes(event)[: wire.ExecEvent.argv.offset] + argv


def exited(wait_status):
    return wire.ExitEvent(header(wire.EventKind.EVENT_EXIT), wait_status, 0, b"make")


def sampled(user=(1, 2, 3), kernel=(), registers=99):
    event = wire.SampleEvent(header(wire.EventKind.EVENT_SAMPLE), registers, len(user), len(kernel))
    event.user_ips[: len(user)], event.kernel_ips[: len(kernel)] = user, kernel
    return event


def test_a_fork():
    assert decode(bytes(forked())) == Forked(AT, KEY, PARENT, 1000, "make")


def test_an_exec():
    assert decode(execed()) == Execed(
        AT, KEY, PARENT, 1000, "make", ("make", "-j4"), False, "/usr/bin/make"
    )


@pytest.mark.parametrize(
    ("raw", "argv"),
    [
        (b"", ()),
        (b"make\0", ("make",)),
        (b"sh\0-c\0\0", ("sh", "-c", "")),
        (b"a\nb\0\x1b[2J\0", ("a\nb", "\x1b[2J")),
        (b"x\xff\xfe\0", ("x\\xff\\xfe",)),
        ("straße\0".encode(), ("straße",)),
        (b"cut of", ("cut of",)),
    ],
)
def test_arguments_are_taken_as_they_are_and_always_valid_text(raw, argv):
    event = decode(execed(raw))
    assert event.argv == argv
    "".join(event.argv).encode()


def test_arguments_that_were_cut_are_known_to_be():
    assert decode(execed(b"a\0b\0", total=4)).argv_truncated is False
    assert decode(execed(b"a\0b\0", total=4000)).argv_truncated is True


def test_an_exec_without_a_file_name_has_none():
    assert decode(execed(filename=b"")).exe is None


@pytest.mark.parametrize("is_watched", [0, 1])
def test_an_exec_tells_whether_it_is_of_a_watched_tree(is_watched):
    assert is_watched_exec(execed(is_watched=is_watched)) is bool(is_watched)


@pytest.mark.parametrize(
    ("status", "code", "signal"),
    [(0, 0, None), (1 << 8, 1, None), (255 << 8, 255, None), (9, None, 9), (11 | 0x80, None, 11)],
)
def test_an_exit_has_a_code_or_a_signal(status, code, signal):
    assert decode(bytes(exited(status))) == Exited(AT, KEY, code, signal)


def test_a_sample():
    assert decode(bytes(sampled(kernel=(7,)))) == Sampled(
        AT, KEY, 13, SAMPLE_PERIOD_NS, (1, 2, 3), (7,), 99
    )


def test_a_stack_is_never_deeper_than_its_room():
    event = sampled()
    event.n_user_ips = event.n_kernel_ips = 1 << 31
    event = decode(bytes(event))
    assert len(event.user_ips) == wire.EventLimits.USER_STACK_DEPTH
    assert len(event.kernel_ips) == wire.EventLimits.KERNEL_STACK_DEPTH


@pytest.mark.parametrize("record", [bytes(forked()), bytes(exited(0)), bytes(sampled())])
def test_a_record_that_is_cut_short_is_none(record):
    assert [n for n in range(len(record)) if decode(record[:n]) is not None] == []


def test_an_exec_that_is_cut_short_is_none_or_has_fewer_arguments():
    record = execed(b"make\0-j4\0all\0")
    cut = [decode(record[:n]) for n in range(len(record))]
    with_head = [event for event in cut if event is not None]
    assert len(with_head) == len(b"make\0-j4\0all\0")
    assert with_head[-1].argv == ("make", "-j4", "all")


@pytest.mark.parametrize("kind", [0, 5, 255])
def test_a_record_of_another_kind_is_none(kind):
    record = bytearray(bytes(forked()))
    record[wire.EventHeader.kind.offset] = kind
    assert decode(bytes(record)) is None


def test_no_bytes_raise():
    source = random.Random(2026)
    n_decoded = 0
    for _ in range(20_000):
        record = bytearray(source.randbytes(source.choice((0, 1, 31, 32, 56, 64, 80, 304, 1400))))
        if len(record) >= 32:
            record[wire.EventHeader.kind.offset] = source.choice((1, 2, 3, 4, 4, 9))
        event = decode(bytes(record))
        if isinstance(event, (Forked, Execed)):
            event.comm.encode()
            "".join(getattr(event, "argv", ())).encode()
        n_decoded += event is not None
        is_watched_exec(bytes(record))
    assert n_decoded > 1_000
