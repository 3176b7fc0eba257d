// expect: line=7 family=perf submit beyond the variable kind=verifier
struct small { u32 pid; };
BPF_PERF_OUTPUT(ev);
TRACEPOINT_PROBE(sched, sched_process_exit)
{
	struct small s = { args->pid };
	ev.perf_submit(args, &s, 4096);
	return 0;
}
