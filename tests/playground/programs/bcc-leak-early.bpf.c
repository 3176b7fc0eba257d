// expect: line=15,9 family=reference leak early return kind=verifier
BPF_RINGBUF_OUTPUT(events, 16);
BPF_HASH(ignored, u32, u8);

struct ev { u32 tgid; char comm[16]; };

TRACEPOINT_PROBE(sched, sched_process_exit)
{
    struct ev *e = events.ringbuf_reserve(sizeof(*e));

    if (!e)
        return 0;
    e->tgid = bpf_get_current_pid_tgid() >> 32;
    if (ignored.lookup(&e->tgid))
        return 0;
    bpf_get_current_comm(&e->comm, sizeof(e->comm));
    events.ringbuf_submit(e, 0);
    return 0;
}
