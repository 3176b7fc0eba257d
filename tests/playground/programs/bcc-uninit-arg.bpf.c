// expect: line=10,7 family=uninitialised helper argument kind=verifier
BPF_STACK_TRACE(stacks, 1024);
BPF_HASH(by_stack, int, u64);

int on_sample(struct bpf_perf_event_data *ctx)
{
    u64 flags;
    int id;

    id = stacks.get_stackid(ctx, flags);
    if (id >= 0)
        by_stack.increment(id);
    return 0;
}
