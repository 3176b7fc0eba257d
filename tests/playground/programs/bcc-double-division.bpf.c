// expect: line=6,7,8 family=floats kind=clang
BPF_HASH(m, u32, u64);
TRACEPOINT_PROBE(sched, sched_stat_runtime)
{
    u32 pid = args->pid;
    double ms = args->runtime / 1e6;
    u64 v = ms * 100;
    m.update(&pid, &v);
    return 0;
}
