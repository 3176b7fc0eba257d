// expect: line=3 family=everything on a line kind=verifier
BPF_HASH(h,u32,u64);
TRACEPOINT_PROBE(sched,sched_process_fork){u32 k=args->child_pid;u64*v=h.lookup(&k);*v=1;return 0;}
