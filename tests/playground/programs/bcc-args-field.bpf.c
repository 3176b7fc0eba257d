// expect: line=7 family=wrong field name of a tracepoint kind=clang
BPF_HASH(waits, u32, u64);

TRACEPOINT_PROBE(sched, sched_switch)
{
    u32 next = args->next_pid;
    u32 prev = args->previous_pid;
    u64 ts = bpf_ktime_get_ns();

    waits.delete(&next);
    waits.update(&prev, &ts);
    return 0;
}
