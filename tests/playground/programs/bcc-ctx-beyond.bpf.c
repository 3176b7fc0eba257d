// expect: line=9 family=context beyond its end kind=verifier
BPF_HISTOGRAM(lens);

RAW_TRACEPOINT_PROBE(sched_switch)
{
    u64 *raw = (u64 *)ctx;
    u64 extra;

    extra = raw[14];
    lens.increment(bpf_log2l(extra));
    return 0;
}
