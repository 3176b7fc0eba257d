// expect: line=14 family=unknown field kind=clang
typedef struct {
	u32 tgid;
	struct { u64 first, last; } seen;
} record_t;
BPF_HASH(records, u32, record_t);
TRACEPOINT_PROBE(sched, sched_process_free)
{
	u32 pid = args->pid;
	record_t *r = records.lookup(&pid);
	if (!r)
		return 0;
	r->seen.last = bpf_ktime_get_ns();
	r->seen.count++;
	return 0;
}
