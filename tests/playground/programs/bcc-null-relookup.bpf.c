// expect: line=13 family=null check missing after re-lookup kind=verifier
BPF_HASH(runs, u32, u64, 4096);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 pid = args->pid;
    u64 one = 1;
    u64 *n = runs.lookup(&pid);

    if (!n) {
        runs.update(&pid, &one);
        n = runs.lookup(&pid);
        *n += 10;
        return 0;
    }
    __sync_fetch_and_add(n, 1);
    return 0;
}
