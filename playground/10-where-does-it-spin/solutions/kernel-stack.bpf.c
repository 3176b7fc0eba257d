struct where_t {
    u32 pid;
    int stack;
};

/* Stacks, by a number that get_stackid() gives each. */
BPF_STACK_TRACE(stacks, 4096);
/* How often who was seen where. */
BPF_HASH(samples, struct where_t, u64);

/* Runs 99 times a second on each CPU, in whoever is running there. */
int on_cpu_clock(struct bpf_perf_event_data *ctx)
{
    struct where_t where = {};

    where.pid = bpf_get_current_pid_tgid() >> 32;
    where.stack = stacks.get_stackid(ctx, 0);
    samples.increment(where);
    return 0;
}
