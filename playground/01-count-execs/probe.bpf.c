/* Lesson 1: count execs. Edit between the two marks. */

/* For each process (its pid): how often it became another program. */
BPF_HASH(execs, u32, u64);

/* Runs each time that a process has called execve(2), in that process. */
TRACEPOINT_PROBE(sched, sched_process_exec)
{
    /* >>> your code */

    /* <<< */
    return 0;
}
