// expect: line=11 family=misaligned stack access kind=verifier
BPF_HASH(words, u64, u64);

int on_event(struct bpf_perf_event_data *ctx)
{
    char buf[24] = {};
    u64 one = 1;

    bpf_get_current_comm(buf, 16);
    words.update((u64 *)(buf + 8), &one);
    *(u64 *)(buf + 3) = bpf_ktime_get_ns();
    words.update((u64 *)buf, &one);
    return 0;
}
