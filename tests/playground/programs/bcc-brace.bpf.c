// expect: line=9,12,15,20 family=plain c missing closing brace kind=clang
BPF_HASH(forks, u32, u64);
BPF_HASH(exits, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_fork)
{
    u32 pid = args->parent_pid;

    if (pid > 1) {
        forks.increment(pid);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_process_exit)
{
    u32 pid = args->pid;

    exits.increment(pid);
    return 0;
}
