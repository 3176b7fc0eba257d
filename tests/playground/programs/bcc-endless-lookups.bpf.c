// expect: line=7,8,9,11,12 family=loop kind=verifier
BPF_HASH(m, u32, u32);
TRACEPOINT_PROBE(sched, sched_process_fork)
{
    u32 pid = args->child_pid;
    u32 *next;
    while (1) {
        next = m.lookup(&pid);
        if (!next)
            break;
        pid = *next;
    }
    return 0;
}
