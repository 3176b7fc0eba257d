// expect: line=6 family=syntax kind=clang
BPF_HASH(m, u32, u64);
TRACEPOINT_PROBE(sched, sched_process_exit)
{
    u32 pid = args->pid;
    if (pid > 100) {
        u64 one = 1;
        m.update(&pid, &one);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_process_fork)
{
    return 0;
}
