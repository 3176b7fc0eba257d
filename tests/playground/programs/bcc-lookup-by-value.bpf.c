// expect: line=9 family=wrong helper argument not a pointer kind=verifier
BPF_HASH(h, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exit)
{
    u32 pid = args->pid;
    u64 *v;

    v = h.lookup(pid);
    if (v)
        h.delete(&pid);
    return 0;
}
