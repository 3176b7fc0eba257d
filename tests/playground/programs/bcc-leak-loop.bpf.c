// expect: line=12,20 family=reference leak in a loop kind=verifier
BPF_RINGBUF_OUTPUT(chunks, 4);

struct chunk { u64 no; u64 data; };

int on_overflow(struct bpf_perf_event_data *ctx)
{
    struct chunk *c = NULL;

    #pragma unroll
    for (int i = 0; i < 3; i++) {
        c = chunks.ringbuf_reserve(sizeof(struct chunk));
        if (!c)
            break;
        c->no = i;
        c->data = ctx->sample_period;
    }
    if (c)
        chunks.ringbuf_submit(c, 0);
    return 0;
}
