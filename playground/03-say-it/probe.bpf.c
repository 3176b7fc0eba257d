/* Lesson 3: say it, don't count it. Edit between the marks. */

#define RUNNER 0 /* the check puts a process id here */

struct exec_t {
    u32 pid;
    u32 ppid;
    char comm[16];
};

BPF_RINGBUF_OUTPUT(execs, 8);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct exec_t record = {};

    /* >>> your code: fill the record, and leave if it is none of the runner's children */

    /* <<< */
    execs.ringbuf_output(&record, sizeof(record), 0);
    return 0;
}
