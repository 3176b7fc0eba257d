// expect: line=14 family=uninitialised return value kind=verifier
BPF_RINGBUF_OUTPUT(ticks, 4);

/* Ein Tick je Überlauf des Zählers – größer wird es nicht. → ✓ */
int on_tick(struct bpf_perf_event_data *ctx)
{
    u64 now = bpf_ktime_get_ns();
    u64 *rec = ticks.ringbuf_reserve(sizeof(u64));

    if (rec) {
        *rec = now;
        ticks.ringbuf_submit(rec, 0);
    }
}
