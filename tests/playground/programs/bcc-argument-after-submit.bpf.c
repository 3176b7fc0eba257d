// expect: line=13 family=use after release kind=verifier
struct event { u32 pid; u64 ns; };
BPF_RINGBUF_OUTPUT(events, 8);
BPF_ARRAY(last, u64, 1);
TRACEPOINT_PROBE(sched, sched_process_exit)
{
    int zero = 0;
    struct event *e = events.ringbuf_reserve(sizeof(struct event));
    if (!e) return 0;
    e->pid = args->pid;
    e->ns = bpf_ktime_get_ns();
    events.ringbuf_submit(e, 0);
    last.update(&zero, &e->ns);
    return 0;
}
