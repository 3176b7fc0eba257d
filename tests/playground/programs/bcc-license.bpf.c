// expect: line=2,9 family=gpl licence kind=verifier
#define BPF_LICENSE Proprietary
BPF_HASH(h, u32, u64);

RAW_TRACEPOINT_PROBE(sched_switch)
{
    u32 k = 1;
    u64 v = 2;
    struct task_struct *t = (struct task_struct *)bpf_get_current_task();
    char comm[16];

    bpf_probe_read_kernel(comm, sizeof(comm), t->comm);
    if (comm[0] == 'x')
        h.update(&k, &v);
    return 0;
}
