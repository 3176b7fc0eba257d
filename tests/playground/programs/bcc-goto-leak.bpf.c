// expect: line=6 family=leak by goto kind=verifier
struct ev { u32 pid; char f[64]; };
BPF_RINGBUF_OUTPUT(rb, 8);
TRACEPOINT_PROBE(syscalls, sys_enter_openat)
{
	struct ev *e = rb.ringbuf_reserve(sizeof(struct ev));
	if (!e) goto done;
	e->pid = 3;
	if (bpf_probe_read_user_str(e->f, sizeof(e->f), args->filename) <= 0) goto done;
	rb.ringbuf_submit(e, 0);
done:
	return 0;
}
