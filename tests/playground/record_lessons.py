"""Makes the recordings of lessons anew, from real runs (`make recordings`); needs root.

The check of each lesson is made with a probe that sends whatever happens, instead of an answer.
"""

import asyncio
import contextlib
import os
import random
import re
import secrets
import sys

from linnix_ls.config import cache_dir
from linnix_ls.playground import loader
from linnix_ls.playground.dialect import dialect_of
from linnix_ls.playground.lesson_folder import VERIFIER_LOG
from linnix_ls.playground.lessons import all_lessons
from linnix_ls.playground.recorded_lessons import RECORDING
from linnix_ls.playground.recording import CLOCK, Recording
from linnix_ls.playground.running_lessons import RunningAttempt, local_playground

EXEC, FORK, EXIT, FSYNC, GETPPID, TICK = range(6)
PROGRAMS = (
    "tracepoint__sched__sched_process_exec",
    "tracepoint__sched__sched_process_fork",
    "tracepoint__sched__sched_process_exit",
    "tracepoint__syscalls__sys_enter_fsync",
    "tracepoint__syscalls__sys_enter_getppid",
    CLOCK,
)
VERSION = os.uname().release.partition("-")[0]
N_LOG_LINES = 60  # of each refusal, the last
ALWAYS = (EXEC, FORK, EXIT)
MORE = {8: (GETPPID,), 9: (FSYNC,), 12: (TICK,)}
# A burst is more than the agent takes from one probe: two of them share it.
N_SHARES = 2
BEGINNING = """
#define SHARE 0

struct seen_t {
    u64 at_ns;
    u64 n_sleeps;
    u64 number;
    u32 what;
    u32 cpu;
    u32 tgid;
    u32 tid;
    u32 parent_tgid;
    u32 parent_tid;
    char comm[16];
    char parent_comm[16];
};
BPF_RINGBUF_OUTPUT(seen, 2048);

static int send(u32 what, u64 number, u32 share)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct seen_t each = {.at_ns = bpf_ktime_get_ns(), .what = what, .number = number};

    if (share % 2 != SHARE)
        return 0;
    each.n_sleeps = task->nvcsw;
    each.cpu = bpf_get_smp_processor_id();
    each.tgid = task->tgid;
    each.tid = task->pid;
    each.parent_tgid = task->real_parent->tgid;
    each.parent_tid = task->real_parent->pid;
    bpf_get_current_comm(&each.comm, sizeof(each.comm));
    bpf_probe_read_kernel(&each.parent_comm, sizeof(each.parent_comm), task->real_parent->comm);
    seen.ringbuf_output(&each, sizeof(each), 0);
    return 0;
}
"""
PARTS = {
    EXEC: "TRACEPOINT_PROBE(sched, sched_process_exec) { return send(0, 0, 0); }",
    FORK: "TRACEPOINT_PROBE(sched, sched_process_fork) { return send(1, args->child_pid, 0); }",
    EXIT: "TRACEPOINT_PROBE(sched, sched_process_exit) { return send(2, 0, 0); }",
    FSYNC: "TRACEPOINT_PROBE(syscalls, sys_enter_fsync) { return send(3, args->fd, args->fd); }",
    GETPPID: "TRACEPOINT_PROBE(syscalls, sys_enter_getppid)"
    " { return send(4, 0, bpf_get_current_pid_tgid()); }",
    TICK: "int tick(struct bpf_perf_event_data *ctx) { return send(5, 0, 0); }",
}


class Recorder(RunningAttempt):
    """Keeps what the check's workloads tell, and when it reads the probe."""

    def __init__(self, lesson, playground, seed):
        kinds = (*ALWAYS, *MORE.get(lesson.number, ()))
        source = BEGINNING + "\n".join(PARTS[kind] for kind in kinds)
        super().__init__(lesson, source, playground, random.Random(seed))
        self.workloads = []
        self.marks = []
        self.seen = []

    async def start(self, *words):
        workload = await super().start(*words)
        told = []
        self.workloads.append((workload.pid, told))
        tell = workload.told

        async def told_and_kept():
            told.append(await tell())
            return told[-1]

        workload.told = told_and_kept
        return workload

    @contextlib.asynccontextmanager
    async def probe(self, **_defined):
        async with contextlib.AsyncExitStack() as stack:
            shares = [
                await stack.enter_async_context(super(Recorder, self).probe(SHARE=share))
                for share in range(N_SHARES)
            ]
            yield Shared(shares, self)

    async def checked(self):
        raise NotImplementedError


class Shared:
    """What a check reads: nothing that it could be content with. Keeps what has happened."""

    run_time_ns = 0
    n_lost = 0

    def __init__(self, shares, recorder):
        self.shares = shares
        self.recorder = recorder

    async def read(self):
        n_before = len(self.recorder.seen)
        found = []
        for share in self.shares:
            await share.read()
            assert not share.n_lost
            found += share.events("seen")
        new = sorted(found, key=lambda each: each["at_ns"])[n_before:]
        self.recorder.seen += new
        self.recorder.marks.append(len(self.recorder.seen))

    def numbers(self, _name):
        return {}

    def rows(self, _name):
        return []

    events = rows

    def kind(self, _name):
        return 0


async def record(lesson):
    seed = secrets.randbelow(1 << 32)
    async with (
        local_playground(cache_dir()) as playground,
        Recorder(lesson, playground, seed) as recorder,
    ):
        async for _ in lesson.check(recorder):
            pass
    seen = recorder.seen
    ours = {pid for pid, _ in recorder.workloads}
    marks, kept, tasks = [], [], {}
    at_ns = 0
    for index, each in enumerate(seen):
        marks += [len(kept)] * recorder.marks.count(index)
        if each["what"] == FORK and each["tgid"] in ours:
            ours.add(each["number"])
        if each["tgid"] not in ours:
            continue  # what else happens on this machine is nobody's business
        names = ("tgid", "tid", "parent_tgid", "parent_tid", "comm", "parent_comm")
        task = tasks.setdefault(tuple(each[name] for name in names), len(tasks))
        after_ns = each["at_ns"] - at_ns
        at_ns = each["at_ns"]
        event = (each["what"], after_ns, each["cpu"], task, each["n_sleeps"], each["number"])
        kept.append(event)
    marks += [len(kept)] * (len(recorder.marks) - len(marks))
    kinds = [*ALWAYS, *MORE.get(lesson.number, ())]
    recording = Recording(
        VERSION,
        seed,
        os.cpu_count(),
        tuple(recorder.workloads),
        tuple(marks),
        tuple(PROGRAMS[kind] for kind in kinds),
        tuple(tasks),
        tuple((kinds.index(kind), *rest) for kind, *rest in kept),
    )
    path = lesson.folder / RECORDING
    recording.write(path)
    sys.stdout.write(f"{lesson.name}: {len(kept)} events, {path.stat().st_size} bytes\n")


async def record_refusals(lesson):
    """What the verifier says of the programs that the lesson begins with."""
    async with local_playground(cache_dir()) as playground:
        checked = await playground.check(dialect_of(lesson.start), "probe.bpf.c", lesson.start)
    parts = [f"What the verifier of Linux {VERSION} says of the six programs.\n"]
    for each in checked.problems:
        log = re.sub(r"\b0xffff8[0-9a-f]{11}\b", "0xffff…", each.log)
        lines = [line.rstrip() for line in log.strip().splitlines()]
        left_out = [f"… {len(lines) - N_LOG_LINES} lines before"] * (len(lines) > N_LOG_LINES)
        parts.append("\n".join([f"--- {each.program}", "", *left_out, *lines[-N_LOG_LINES:], ""]))
    (lesson.folder / VERIFIER_LOG).write_text("\n".join(parts))


def main():
    loader.MAX_EVENTS = 20_000  # of a probe are kept: a burst is to be recorded whole
    wanted = list(map(int, sys.argv[1:]))
    for lesson in all_lessons():
        if lesson.why_not_recorded is None and lesson.number in (wanted or [lesson.number]):
            asyncio.run(record(lesson))
        if (lesson.folder / VERIFIER_LOG).exists():
            asyncio.run(record_refusals(lesson))


if __name__ == "__main__":
    main()
