// expect: line=9,25 family=two broken programs null check and context write kind=verifier
BPF_HASH(last, u32, u64);

RAW_TRACEPOINT_PROBE(sched_process_fork)
{
    u32 tid = bpf_get_current_pid_tgid();
    u64 *ts = last.lookup(&tid);

    *ts = bpf_ktime_get_ns();
    return 0;
}

RAW_TRACEPOINT_PROBE(sched_process_exit)
{
    u32 tid = bpf_get_current_pid_tgid();

    last.delete(&tid);
    return 0;
}

RAW_TRACEPOINT_PROBE(sched_process_exec)
{
    u64 *regs = (u64 *)ctx;

    regs[2] = 0;
    return 0;
}
