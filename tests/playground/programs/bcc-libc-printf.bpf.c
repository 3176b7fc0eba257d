// expect: line=9 family=libc call kind=verifier
BPF_HASH(n, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_fork)
{
    u32 child = args->child_pid;

    n.increment(child);
    printf("child %d\n", child);
    return 0;
}
