/* Lesson 10: where does it spin? Edit between the marks. */

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

    /* >>> your code */

    /* <<< */
    return 0;
}
