// expect: line=6 family=atomics on the wrong memory context kind=verifier
BPF_HISTOGRAM(sizes);

RAW_TRACEPOINT_PROBE(sched_switch)
{
    __sync_fetch_and_add((u64 *)&ctx->args[0], 1);
    sizes.increment(0);
    return 0;
}
