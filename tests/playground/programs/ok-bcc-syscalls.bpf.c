// expect: ok
/* Calls and errors of each process by system call. */
struct call_key {
    u32 tgid;
    u32 nr;
};

struct call_stats {
    u64 n, n_failed;
    u64 slowest_ns;
};

BPF_HASH(entered, u64, u64);
BPF_HASH(calls, struct call_key, struct call_stats, 16384);

TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
    u64 id = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();

    entered.update(&id, &now);
    return 0;
}

TRACEPOINT_PROBE(raw_syscalls, sys_exit)
{
    u64 id = bpf_get_current_pid_tgid();
    struct call_key key = { .tgid = id >> 32, .nr = (u32)args->id };
    struct call_stats nothing = {}, *stats;
    u64 *begin, spent;

    begin = entered.lookup(&id);
    if (NULL == begin)
        goto out;
    spent = bpf_ktime_get_ns() - *begin;
    entered.delete(&id);
    stats = calls.lookup_or_try_init(&key, &nothing);
    switch ((u64)stats) {
    case 0:
        goto out;
    default:
        break;
    }
    stats->n += 1;
    stats->n_failed += args->ret < 0 ? 1 : 0;
    if (spent > stats->slowest_ns)
        stats->slowest_ns = spent;
out:
    return 0;
}
