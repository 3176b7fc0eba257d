// expect: line=11,6 family=static data table not loaded by bcc kind=verifier
BPF_HASH(out, u32, u64);

RAW_TRACEPOINT_PROBE(sys_exit)
{
    u64 table[8] = { 1, 2, 4, 8, 16, 32, 64, 128 };
    u32 which = bpf_get_prandom_u32() & 7;
    u32 key = 7;
    u64 weight;

    weight = table[which];
    out.update(&key, &weight);
    return 0;
}
