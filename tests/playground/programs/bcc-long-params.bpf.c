// expect: line=10,8 family=call over several lines kind=verifier
struct ev { u64 ts; char data[32]; };
BPF_PERF_OUTPUT(evs);
TRACEPOINT_PROBE(syscalls, sys_enter_write)
{
	struct ev e = { 0 };

	bpf_probe_read_user(
		&e.data,
		args->count,
		args->buf
	);
	evs.perf_submit(args, &e, sizeof(e));
	return 0;
}
