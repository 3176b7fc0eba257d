// expect: line=6 family=arithmetic kind=clang
BPF_ARRAY(out, u64, 1);
TRACEPOINT_PROBE(sched, sched_stat_runtime)
{
    int z = 0;
    unsigned __int128 product = (unsigned __int128)args->runtime * 1000003;
    u64 scaled = (u64)(product / (args->pid + 1));
    out.update(&z, &scaled);
    return 0;
}
