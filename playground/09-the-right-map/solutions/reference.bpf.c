#define RUNNER 0 /* the check puts a process id here */

/* The first 1,024 files that were asked for, and how often updates were refused (row 0). */
BPF_HASH(first, u32, u64, 1024);
BPF_ARRAY(refused, u64, 1);
/* The last ones. */
BPF_TABLE("lru_hash", u32, u64, recent, 1024);
/* How many calls there were (row 0), by several threads at once. */
BPF_PERCPU_ARRAY(calls, u64, 1);

TRACEPOINT_PROBE(syscalls, sys_enter_fsync)
{
    u32 file = args->fd;
    u64 now = bpf_ktime_get_ns();
    int zero = 0;
    u64 *n_calls;

    if (bpf_get_current_pid_tgid() >> 32 != RUNNER)
        return 0;
    if (first.update(&file, &now))
        refused.increment(zero);
    recent.update(&file, &now);
    n_calls = calls.lookup(&zero);
    if (n_calls)
        *n_calls += 1;
    return 0;
}
