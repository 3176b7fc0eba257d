// expect: line=11 family=wrong helper argument possibly null kind=verifier
struct rec { u64 a; u64 b; char name[32]; };
BPF_PERF_OUTPUT(out);
BPF_TABLE("lru_hash", u32, struct rec, pending, 512);

TRACEPOINT_PROBE(syscalls, sys_enter_unlinkat)
{
    u32 tid = bpf_get_current_pid_tgid();
    struct rec *r = pending.lookup(&tid);

    out.perf_submit(args, r, sizeof(*r));
    return 0;
}
