// expect: line=10,12 family=plain c missing semicolon kind=clang
/* {braces} in a comment, CRLF line ends
 * and tabs */
BPF_HASH(start, u32, u64);
BPF_HISTOGRAM(dist);

TRACEPOINT_PROBE(syscalls, sys_enter_fsync)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	u64 ts = bpf_ktime_get_ns()

	start.update(&tid, &ts);
	return 0;
}

TRACEPOINT_PROBE(syscalls, sys_exit_fsync)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	u64 *ts = start.lookup(&tid);

	if (ts)
		dist.increment(bpf_log2l((bpf_ktime_get_ns() - *ts) / 1000));
	start.delete(&tid);
	return 0;
}
