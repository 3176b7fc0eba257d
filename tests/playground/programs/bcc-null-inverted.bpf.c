// expect: line=12,10 family=inverted null check kind=verifier
BPF_HASH(seen, u32, u64);
BPF_HASH(copy, u32, u64);

RAW_TRACEPOINT_PROBE(sys_enter)
{
    u32 tid = (u32)bpf_get_current_pid_tgid();
    u64 *when = seen.lookup(&tid);

    if (when)
        return 0;
    copy.update(&tid, when);
    return 0;
}
