// expect: line=10 family=loop without a bound kind=verifier
BPF_HASH(depths, u32, u32);

RAW_TRACEPOINT_PROBE(sched_process_fork)
{
    struct task_struct *t = (struct task_struct *)ctx->args[1];
    u32 depth = 0;
    u32 pid = t->pid;

    while (t->pid > 1) {
        t = t->real_parent;
        depth++;
    }
    depths.update(&pid, &depth);
    return 0;
}
