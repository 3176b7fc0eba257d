#define RUNNER 0

BPF_HASH(children, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 parent = bpf_get_current_pid_tgid() >> 32;

    if (parent != RUNNER)
        return 0;
    children.increment(parent);
    return 0;
}
