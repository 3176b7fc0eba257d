// expect: line=8 family=record reserved in each round kind=verifier
struct ev { u32 i; };
BPF_RINGBUF_OUTPUT(rb, 8);
TRACEPOINT_PROBE(sched, sched_process_fork)
{
	struct ev *e = NULL;
	for (int i = 0; i < 3; i++) {
		e = rb.ringbuf_reserve(sizeof(*e));
		if (!e)
			break;
		e->i = i;
	}
	if (e)
		rb.ringbuf_submit(e, 0);
	return 0;
}
