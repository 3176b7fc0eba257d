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

    record.ppid = task->real_parent->tgid;
    if (record.ppid != RUNNER)
        return 0;
    record.pid = task->tgid;
    bpf_get_current_comm(&record.comm, sizeof(record.comm));
    execs.ringbuf_output(&record, sizeof(record), 0);
    return 0;
}
