/* Lesson 4: how long did it live? Edit between the marks. */

#define RUNNER 0 /* the check puts a process id here */

/* When a child was born, in ns, by its pid. */
BPF_HASH(born, u32, u64);
/* How many lived that long: bpf_log2l() of milliseconds. */
BPF_HISTOGRAM(lived_ms, int);

/* Runs in the parent; args->child_pid is the new process. */
TRACEPOINT_PROBE(sched, sched_process_fork)
{
    u32 pid = args->child_pid;
    u64 now = bpf_ktime_get_ns();

    if (args->parent_pid != RUNNER)
        return 0;
    /* >>> your code: remember when it was born */

    /* <<< */
    return 0;
}

/* Runs in each thread that ends; args->pid is the thread's. */
TRACEPOINT_PROBE(sched, sched_process_exit)
{
    u32 pid = args->pid;
    u64 now = bpf_ktime_get_ns();

    /* >>> your code: how long was that? */

    /* <<< */
    return 0;
}
