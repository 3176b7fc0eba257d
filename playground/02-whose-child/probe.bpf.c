/* Lesson 2: whose child? Edit between the marks. */

#define RUNNER 0 /* the check puts a process id here */

/* For each parent (its pid): how many execs its children made. */
BPF_HASH(children, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    /* >>> your code: here everybody is counted, and under their own pid */
    u32 parent = bpf_get_current_pid_tgid() >> 32;

    /* <<< */
    children.increment(parent);
    return 0;
}
