#define RUNNER 0     /* the check puts a process id here */
#define GENERATION 0 /* and here, at each reload, one more */

struct exec_t {
    u32 pid;
    u32 generation;
    u64 key;
};

BPF_RINGBUF_OUTPUT(execs, 64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct exec_t record = {};

    if (task->real_parent->tgid != RUNNER)
        return 0;
    record.pid = task->tgid;
    record.key = task->self_exec_id;
    execs.ringbuf_output(&record, sizeof(record), 0);
    return 0;
}
