// expect: line=13 family=null in a sub-program that is called kind=verifier
BPF_HASH(m, u32, u64);

static __attribute__((noinline)) u64 total_of(u32 pid, u64 add)
{
	u64 *v = m.lookup(&pid);
	return *v + add;
}

TRACEPOINT_PROBE(sched, sched_process_exit)
{
	u32 pid = args->pid;
	u64 t = total_of(pid, 1);
	m.update(&pid, &t);
	return 0;
}
