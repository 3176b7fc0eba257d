// expect: line=10 family=context variable offset kind=verifier
struct call { u64 arg; };
BPF_HASH(calls, u32, struct call);

TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
    u32 i = bpf_get_prandom_u32() % 6;
    struct call c = {};

    c.arg = args->args[i];
    calls.update(&i, &c);
    return 0;
}
