// expect: ok
/*
 * Opens by programs whose names begin with a prefix.
 */
#define PREFIX "py"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

struct opened {
    u32 tgid;
    int flags;
    char file[96];
};

BPF_PERF_OUTPUT(opens);
BPF_ARRAY(n_opens, u64, 2);

static inline int has_prefix(const char comm[TASK_COMM_LEN])
{
    const char prefix[] = PREFIX;

    #pragma unroll
    for (int i = 0; i < PREFIX_LEN; i++)
        if (comm[i] != prefix[i])
            return 0;
    return 1;
}

TRACEPOINT_PROBE(syscalls, sys_enter_openat)
{
    char comm[TASK_COMM_LEN] = {};
    struct opened o = {};
    int which;

    bpf_get_current_comm(&comm, sizeof(comm));
    which = has_prefix(comm);
    n_opens.increment(which);
    if (!which)
        return 0;
    o.tgid = bpf_get_current_pid_tgid() >> 32;
    o.flags = args->flags;
    if (bpf_probe_read_user_str(&o.file, sizeof(o.file), args->filename) > 0)
        opens.perf_submit(args, &o, sizeof(o));
    return 0;
}
