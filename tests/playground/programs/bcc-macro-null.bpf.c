// expect: line=15 family=null through a macro kind=verifier
#define INC(map, k, by) do { \
	u64 *_v = map.lookup(&k); \
	*_v += by; \
} while (0)

BPF_ARRAY(hits, u64, 64);
BPF_HASH(bytes, u64, u64);

TRACEPOINT_PROBE(syscalls, sys_exit_write)
{
	u64 who = bpf_get_current_pid_tgid();
	if (args->ret <= 0)
		return 0;
	INC(bytes, who, args->ret);
	return 0;
}
