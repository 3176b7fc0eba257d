// expect: line=14 family=bounds signed index negative kind=verifier
struct levels {
    u64 level[8];
};
BPF_ARRAY(levels_of, struct levels, 4);

RAW_TRACEPOINT_PROBE(sched_switch)
{
    u32 key = 2;
    int prio = (int)ctx->args[0];
    struct levels *l = levels_of.lookup(&key);

    if (l && prio < 8) {
        l->level[prio] += 1;
    }
    return 0;
}
