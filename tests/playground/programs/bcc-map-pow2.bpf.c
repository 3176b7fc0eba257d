// expect: line=4 family=map definition ring buffer size not a power of two kind=map
#define PAGES (3 * 4)
struct ev { u32 pid; };
BPF_RINGBUF_OUTPUT(events, PAGES);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    struct ev e = { .pid = args->pid };

    events.ringbuf_output(&e, sizeof(e), 0);
    return 0;
}
