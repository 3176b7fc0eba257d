// expect: line=20,18 family=bounds off by one map value array kind=verifier
#define N_BUCKETS 20
struct hist {
    u32 n;
    u32 bucket[N_BUCKETS];
};
BPF_PERCPU_ARRAY(hists, struct hist, 1);

TRACEPOINT_PROBE(syscalls, sys_exit_write)
{
    u32 zero = 0;
    struct hist *h = hists.lookup(&zero);
    u32 b;

    if (!h)
        return 0;
    b = (u32)args->ret;
    if (b > N_BUCKETS)
        b = N_BUCKETS;
    h->bucket[b]++;
    return 0;
}
