BPF_HASH(execs, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 key = 0;

    execs.increment(key);
    return 0;
}
