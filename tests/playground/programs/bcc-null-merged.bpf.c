// expect: line=11,14 family=or of two conditions kind=verifier
struct s_t { u64 n; u64 m; };
BPF_PERCPU_ARRAY(pc, struct s_t, 4);
BPF_HASH(h, u32, struct s_t);
TRACEPOINT_PROBE(sched, sched_process_exit)
{
	u32 k = args->pid;
	u32 i = k & 3;
	struct s_t *a = pc.lookup(&i);
	struct s_t *b = h.lookup(&k);
	if (!a && !b)
		return 0;
	if (a) a->n++;
	b->m += 2;
	return 0;
}
