"""Probes in words: each sentence names what stands at its line, and nothing else."""

import re
from pathlib import Path

import pytest

from linnix_ls.tracer.bpf_source import bpf_dir
from tests.playground.machine import AUTHOR

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.bpf.c"))
PROBE = """\
struct event { u32 pid; };
BPF_HASH(starts, u32, u64);
BPF_RINGBUF_OUTPUT(events, 8);

static int is_new(u32 pid)
{
    return starts.lookup(&pid) == NULL;
}

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 pid = bpf_get_current_pid_tgid() >> 32;
    u64 now = bpf_ktime_get_ns(), *start;
    struct event event = {};

    if (!is_new(pid))
        return 0;
    starts.update(&pid, &now);
    start = starts.lookup(&pid);
    if (start)
        *start += 5;
    event.pid = args->pid;
    events.ringbuf_output(&event, sizeof(event), 0);
    for (int i = 0; i < 4; i++)
        __sync_fetch_and_add(start, 2);
    return 0;
}
"""


def told(text=PROBE):
    parts = AUTHOR.tell(text)
    return {(part.kind, part.name): part for part in parts}, {
        (sentence.line, sentence.text) for part in parts for sentence in part.sentences
    }


def test_a_probe_is_told_line_by_line():
    parts, sentences = told()
    assert list(parts) == [
        ("map", "starts"),
        ("map", "events"),
        ("function", "is_new"),
        ("program", "TRACEPOINT_PROBE(sched, sched_process_exec)"),
    ]
    assert {
        (2, "`starts` is written at line 18 and read at lines 7, 19."),
        (5, "`is_new` is used at line 16."),
        (7, "Looks up `pid` in `starts`, which gives NULL if it is not there."),
        (12, "Sets `pid` to the id of the process that runs here."),
        (13, "Sets `now` to the time since boot, in nanoseconds."),
        (14, "Sets all of `event` to zero."),
        (16, "Calls `is_new` of this file."),
        (16, "Ends here if `!is_new(pid)`."),
        (18, "Writes `now` into `starts` under `pid`."),
        (
            19,
            "Looks up `pid` in `starts`, which gives NULL if it is not there;"
            " the result is in `start`.",
        ),
        (20, "The next part is done only if `start`."),
        (21, "Adds `5` to `*start`."),
        (22, "Takes `pid` of the tracepoint's record into `event.pid`."),
        (23, "Sends a copy of `event` to user space through `events`."),
        (24, "Repeats what follows as long as `i < 4`."),
        (25, "Adds `2` to `start`, whatever other CPUs do at the same time."),
        (26, "Ends with `0`."),
    } <= sentences


def test_a_program_says_when_it_runs_and_what_it_is_handed():
    parts, _ = told()
    head = parts["program", "TRACEPOINT_PROBE(sched, sched_process_exec)"].sentences[0]
    assert head.text == (
        "Runs when the kernel comes by the tracepoint `sched_process_exec` of sched: a process"
        " starts a program (exec). Its record has filename, pid, old_pid."
    )


def test_libbpf_is_told_in_the_same_words():
    text = """\
#include <bpf/bpf_helpers.h>
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, u32);
    __type(value, u64);
} counts SEC(".maps");
SEC("tracepoint/syscalls/sys_enter_openat")
int on_open(void *ctx)
{
    u32 zero = 0;
    u64 *count = bpf_map_lookup_elem(&counts, &zero);
    return 0;
}
"""
    parts, sentences = told(text)
    head = parts["program", "on_open"].sentences[0].text
    assert head.startswith(
        "Runs when the kernel comes by the tracepoint sys_enter_openat of syscalls: the system"
        " call openat begins."
    )
    assert (
        11,
        "Looks up `zero` in `counts`, which gives NULL if it is not there;"
        " the result is in `count`.",
    ) in sentences


@pytest.mark.parametrize(
    "path",
    [*PROGRAMS, *sorted(bpf_dir().glob("*.bpf.c"))],
    ids=lambda path: path.name.removesuffix(".bpf.c"),
)
def test_every_name_stands_at_the_line_of_its_sentence(path):
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text.split("\n")
    for part in AUTHOR.tell(text):
        assert 1 <= part.line <= len(lines)
        for sentence in part.sentences:
            there = squeezed("".join(lines[sentence.line - 1 : sentence.end_line]))
            for name in re.findall(r"`([^`]+)`", sentence.text):
                assert squeezed(name) in there, sentence
            for numbers in re.findall(r"\bat lines? ([\d, ]+)", sentence.text):
                for number in numbers.replace(" ", "").strip(",").split(","):
                    assert part.name in lines[int(number) - 1], sentence


def squeezed(text):
    return re.sub(r"\s+|\\\\", "", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "}}}}",
        "int f(",
        "\0\ud800",
        "x`y` = `z`;",
        "TRACEPOINT_PROBE(a)\n{",
        "{" * 5000,
        "int f()" + "{" * 3000 + "}" * 3000,
        "int f(){" + "if(1)" * 3000 + ";}",
    ],
)
def test_any_text_will_do(text):
    AUTHOR.tell(text)
