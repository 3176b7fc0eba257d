// expect: line=6 family=context kind=verifier
struct my_args { u64 pad; s64 id; u64 a[6]; u64 more; };
TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
    struct my_args *m = (struct my_args *)args;
    u64 x = *(volatile u64 *)((char *)m + 4096);
    bpf_trace_printk("%llx\n", x);
    return 0;
}
