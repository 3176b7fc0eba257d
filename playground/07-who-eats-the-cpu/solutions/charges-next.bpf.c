/* When a thread was put on a CPU, in ns, by its id. */
BPF_HASH(since, u32, u64);
/* For how long it has been on one, all together. */
BPF_HASH(on_cpu_ns, u32, u64);

/* Runs when a CPU turns from one thread (args->prev_pid) to another (args->next_pid). */
TRACEPOINT_PROBE(sched, sched_switch)
{
    u64 now = bpf_ktime_get_ns();
    u32 leaves = args->prev_pid;
    u32 comes = args->next_pid;
    u64 *then = since.lookup(&leaves);

    if (then)
        on_cpu_ns.increment(comes, now - *then);
    since.update(&comes, &now);
    return 0;
}
