BPF_HASH(execs, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 pid = bpf_get_current_pid_tgid() >> 32;

    execs.increment(pid);
    return 0;
}
