// expect: line=7,8 family=variable of the file kind=verifier
static const u32 limits[4] = { 1, 10, 100, 1000 };
BPF_HISTOGRAM(h, u32);
TRACEPOINT_PROBE(syscalls, sys_exit_write)
{
	u32 level = bpf_get_smp_processor_id() & 3;
	u32 limit = limits[level];
	h.increment(limit);
	return 0;
}
