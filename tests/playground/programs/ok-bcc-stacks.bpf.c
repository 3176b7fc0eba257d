// expect: ok
/* Where processors spend their time, at { user, kernel } stacks. */
struct where {
    int user_stack;
    int kernel_stack;
    u32 tgid;
    char comm[TASK_COMM_LEN];
    u32 pad;
};

BPF_STACK_TRACE(stack_traces, 2048);
BPF_HASH(samples, struct where, u64, 4096);

static inline bool is_idle(void)
{
    return !(u32)bpf_get_current_pid_tgid();
}

int on_sample(struct bpf_perf_event_data *ctx)
{
    struct where w = {};
    u64 one = 1;
    u64 *n;

    if (is_idle())
        return 0;
    w.tgid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(&w.comm, sizeof(w.comm));
    w.user_stack = stack_traces.get_stackid(&ctx->regs, BPF_F_USER_STACK);
    w.kernel_stack = stack_traces.get_stackid(&ctx->regs, 0);
    for (n = samples.lookup(&w); n; n = NULL) {
        __sync_fetch_and_add(n, 1);
        return 0;
    }
    samples.insert(&w, &one);
    return 0;
}
