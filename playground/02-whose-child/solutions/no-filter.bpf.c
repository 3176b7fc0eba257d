#define RUNNER 0

BPF_HASH(children, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    u32 parent = task->real_parent->tgid;

    children.increment(parent);
    return 0;
}
