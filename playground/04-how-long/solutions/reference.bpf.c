#define RUNNER 0 /* the check puts a process id here */

/* When a child was born, in ns, by its pid. */
BPF_HASH(born, u32, u64);
/* How many lived that long: bpf_log2l() of milliseconds. */
BPF_HISTOGRAM(lived_ms, int);

TRACEPOINT_PROBE(sched, sched_process_fork)
{
    u32 pid = args->child_pid;
    u64 now = bpf_ktime_get_ns();

    if (args->parent_pid != RUNNER)
        return 0;
    born.update(&pid, &now);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_process_exit)
{
    u32 pid = args->pid;
    u64 *then = born.lookup(&pid);

    if (!then)
        return 0;
    lived_ms.increment(bpf_log2l((bpf_ktime_get_ns() - *then) / 1000000));
    born.delete(&pid);
    return 0;
}
