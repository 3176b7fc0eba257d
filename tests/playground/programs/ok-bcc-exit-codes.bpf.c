// expect: ok
/* Ends of processes: how, and after what time. */
struct ended {
    u32 tgid;
    u8 killed;
    u8 code;
    u16 pad;
    u64 lived_ns;
    char comm[TASK_COMM_LEN];
};
BPF_RINGBUF_OUTPUT(ends, 8);
BPF_ARRAY(lost, u64, 1);

RAW_TRACEPOINT_PROBE(sched_process_exit)
{
    struct task_struct *t = (struct task_struct *)ctx->args[0];
    struct ended e = {};
    int status, key = 0;
    u64 started;

    if (t->pid != t->tgid)
        return 0;
    status = t->exit_code;
    started = t->start_time;
    e.tgid = t->tgid;
    e.killed = status & 0x7f;
    e.code = (status >> 8) & 0xff;
    e.lived_ns = bpf_ktime_get_ns() - started;
    bpf_probe_read_kernel_str(e.comm, sizeof(e.comm), t->comm);
    if (ends.ringbuf_output(&e, sizeof(e), 0) < 0)
        lost.increment(key);
    return 0;
}
