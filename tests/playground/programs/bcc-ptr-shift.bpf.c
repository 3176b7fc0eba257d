// expect: line=12,13 family=pointer arithmetic misuse kind=verifier
BPF_HASH(ids, u64, u64);

RAW_TRACEPOINT_PROBE(sched_wakeup)
{
    u64 key = 5;
    u64 *v = ids.lookup(&key);

    if (!v)
        return 0;
    /* align it down to a cache line */
    v = (u64 *)((u64)v & ~63ULL);
    *v = 1;
    return 0;
}
