"""Makes the recordings of lessons anew, from real runs (`make recordings`); needs root.

The check of each lesson is made with a probe that sends whatever happens, instead of an answer.
"""

import asyncio
import contextlib
import os
import random
import secrets
import sys

from linnix_ls.config import cache_dir
from linnix_ls.playground.lessons import LoadedAttempt, all_lessons
from linnix_ls.playground.recorded_lessons import RECORDING
from linnix_ls.playground.recording import CLOCK, Recording

EXEC, FORK, EXIT, FSYNC, GETPPID, TICK = range(6)
PROGRAMS = (
    "tracepoint__sched__sched_process_exec",
    "tracepoint__sched__sched_process_fork",
    "tracepoint__sched__sched_process_exit",
    "tracepoint__syscalls__sys_enter_fsync",
    "tracepoint__syscalls__sys_enter_getppid",
    CLOCK,
)
ALWAYS = (EXEC, FORK, EXIT)
MORE = {8: (GETPPID,), 9: (FSYNC,), 12: (TICK,)}
BEGINNING = """
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

static void send(u32 what, u64 number)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct seen_t each = {.at_ns = bpf_ktime_get_ns(), .what = what, .number = number};

    each.n_sleeps = task->nvcsw;
    each.cpu = bpf_get_smp_processor_id();
    each.tgid = task->tgid;
    each.tid = task->pid;
    each.parent_tgid = task->real_parent->tgid;
    each.parent_tid = task->real_parent->pid;
    bpf_get_current_comm(&each.comm, sizeof(each.comm));
    bpf_probe_read_kernel(&each.parent_comm, sizeof(each.parent_comm), task->real_parent->comm);
    seen.ringbuf_output(&each, sizeof(each), 0);
}
"""
PARTS = {
    EXEC: "TRACEPOINT_PROBE(sched, sched_process_exec) { send(0, 0); return 0; }",
    FORK: "TRACEPOINT_PROBE(sched, sched_process_fork) { send(1, args->child_pid); return 0; }",
    EXIT: "TRACEPOINT_PROBE(sched, sched_process_exit) { send(2, 0); return 0; }",
    FSYNC: "TRACEPOINT_PROBE(syscalls, sys_enter_fsync) { send(3, args->fd); return 0; }",
    GETPPID: "TRACEPOINT_PROBE(syscalls, sys_enter_getppid) { send(4, 0); return 0; }",
    TICK: "int tick(struct bpf_perf_event_data *ctx) { send(5, 0); return 0; }",
}


class Recorder(LoadedAttempt):
    """Keeps what the check's workloads tell, and when it reads the probe."""

    def __init__(self, lesson, seed):
        kinds = (*ALWAYS, *MORE.get(lesson.number, ()))
        source = BEGINNING + "\n".join(PARTS[kind] for kind in kinds)
        super().__init__(lesson, source, cache_dir(), random.Random(seed))
        self.workloads = []
        self.marks = []
        self.last = None

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
        async with super().probe() as probe:
            read = probe.read

            async def read_and_mark():
                await read()
                self.marks.append(len(probe.events("seen")))

            probe.read = read_and_mark
            self.last = probe
            yield probe
            await read()

    async def checked(self):
        raise NotImplementedError


async def record(lesson):
    seed = secrets.randbelow(1 << 32)
    async with Recorder(lesson, seed) as recorder:
        async for _ in lesson.check(recorder):
            pass
    seen = recorder.last.events("seen")
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
        os.uname().release,
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


def main():
    wanted = list(map(int, sys.argv[1:]))
    for lesson in all_lessons():
        if lesson.why_not_recorded is None and lesson.number in (wanted or [lesson.number]):
            asyncio.run(record(lesson))


if __name__ == "__main__":
    main()
