// expect: line=20 family=bounds stack array unbounded index kind=verifier
BPF_HASH(out, u32, u64);

RAW_TRACEPOINT_PROBE(sys_exit)
{
    u64 table[8];
    u32 which = bpf_get_prandom_u32();
    u32 key = 7;

    table[0] = bpf_ktime_get_ns();
    table[1] = table[0] >> 1;
    table[2] = table[0] >> 2;
    table[3] = table[0] >> 3;
    table[4] = ctx->args[0];
    table[5] = ctx->args[1];
    table[6] = 17;
    table[7] = bpf_get_smp_processor_id();
    /* forgotten: which %= 8 */
    key = which;
    out.update(&key, &table[which]);
    return 0;
}
