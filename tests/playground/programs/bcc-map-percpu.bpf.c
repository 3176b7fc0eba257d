// expect: line=8,3 family=map definition per cpu value too large kind=map
struct trace {
    u64 entries[8192];
    u32 len;
};

BPF_HASH(enabled, u32, u8);
BPF_PERCPU_ARRAY(traces, struct trace, 1);

RAW_TRACEPOINT_PROBE(sys_enter)
{
    int zero = 0;
    struct trace *t = traces.lookup(&zero);

    if (!t)
        return 0;
    if (t->len < 8192) {
        t->entries[t->len & 8191] = ctx->args[1];
        t->len++;
    }
    return 0;
}
