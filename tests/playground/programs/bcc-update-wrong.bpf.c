// expect: line=7 family=update from an unchecked lookup kind=verifier
BPF_HASH(src, u32, u64);
BPF_HASH(dst, u32, u64);
TRACEPOINT_PROBE(sched, sched_process_exit)
{
	u32 k = args->pid;
	dst.update(&k, src.lookup(&k));
	return 0;
}
