// expect: line=6 family=map method kind=clang
BPF_ARRAY(progs, u32, 4);
int step(struct pt_regs *ctx) { return 0; }
RAW_TRACEPOINT_PROBE(sys_enter)
{
    progs.call(ctx, 1);
    return 0;
}
