// expect: ok
// forks by parent: "}" is what a careless reader of braces would stumble over
BPF_RINGBUF_OUTPUT(births, 16);

struct birth {
    u64 when_ns;
    union {
        struct { u32 parent, child; };
        u64 both;
    };
    char comm[TASK_COMM_LEN];
};

#if defined(ONLY_ROOT)
#define WANTED(uid) ((uid) == 0)
#else
#define WANTED(uid) ((void)(uid), 1)
#endif

TRACEPOINT_PROBE(sched, sched_process_fork)
{
    u32 uid = bpf_get_current_uid_gid();
    struct birth *b;

    if (!WANTED(uid))
        return 0;
    b = births.ringbuf_reserve(sizeof(struct birth));
    if (b) {
        b->when_ns = bpf_ktime_get_ns();
        b->parent = args->parent_pid;
        b->child = args->child_pid;
        bpf_get_current_comm(&b->comm, sizeof(b->comm));
        if (b->comm[0] == '{')
            births.ringbuf_discard(b, BPF_RB_NO_WAKEUP);
        else
            births.ringbuf_submit(b, 0);
    }
    return 0;
}
