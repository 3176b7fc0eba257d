from linnix_ls.playground.c_source import CSource

BCC = """
struct event { u32 pid; };
typedef struct { u64 size; } size_event;
BPF_RINGBUF_OUTPUT(events, 8);
BPF_PERF_OUTPUT(sizes);
BPF_HISTOGRAM(slots);
BPF_HASH(steps, u64);
BPF_HASH(plain, u64);
TRACEPOINT_PROBE(sched, sched_switch) {
    struct event e = {};
    size_event s = {};
    struct { u32 x; } hidden = {};
    // events.ringbuf_output(&s, sizeof(s), 0);
    events.ringbuf_output(&e, sizeof(e), 0);
    sizes.perf_submit((void *)args, &s, sizeof(s));
    sizes.perf_submit(args, &hidden, sizeof(hidden));
    steps.increment(bpf_log2l(e.pid));
    plain.increment(e.pid);
    return 0;
}
"""
LIBBPF = """
struct event { int pid; };
SEC("tp/sched/sched_switch")
int on_switch(void *context) {
    struct event *reserved = bpf_ringbuf_reserve(&ring, sizeof(*reserved), 0);
    if (!reserved) return 0;
    bpf_ringbuf_submit(reserved, 0);
    u64 number = 1;
    bpf_ringbuf_output(&ring, &number, sizeof(number), 0);
    struct event sent = {};
    bpf_perf_event_output(context, &perf, BPF_F_CURRENT_CPU, &sent, sizeof(sent));
    return 0;
}
"""


def test_what_a_buffer_carries_is_told_by_its_calls():
    assert CSource(BCC).records == {"events": ["struct event"], "sizes": ["size_event"]}
    assert CSource(LIBBPF).records == {"ring": ["struct event", "u64"], "perf": ["struct event"]}


def test_histograms_are_declared_or_counted_by_powers_of_two():
    source = CSource(BCC)
    assert [source.is_histogram(name) for name in ("slots", "steps", "plain")] == [
        True,
        True,
        False,
    ]
