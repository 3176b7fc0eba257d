// expect: line=7 family=submits what it never reserved kind=verifier
struct rec { u64 ts; };
BPF_RINGBUF_OUTPUT(out, 4);
TRACEPOINT_PROBE(sched, sched_wakeup_new)
{
    struct rec r = { .ts = bpf_ktime_get_ns() };
    out.ringbuf_submit(&r, 0);
    return 0;
}
