// expect: line=12,8,13 family=floats kind=clang
BPF_HASH(ratio, u32, u64);

RAW_TRACEPOINT_PROBE(sys_exit)
{
    u32 key = 0;
    u64 *hits = ratio.lookup(&key);
    double share;

    if (!hits)
        return 0;
    share = *hits / 3.0;
    *hits = (u64)(share * 100);
    return 0;
}
