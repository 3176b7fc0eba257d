// expect: line=17 family=null check missing alias kind=verifier
struct stat_t {
    u64 first_ns;
    u64 last_ns;
    u32 hits;
};
BPF_HASH(per_tgid, u32, struct stat_t, 1024);

RAW_TRACEPOINT_PROBE(sched_wakeup)
{
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct stat_t *entry = per_tgid.lookup(&tgid);
    struct stat_t *alias = entry;

    if (tgid == 1)
        return 0;
    alias->last_ns = bpf_ktime_get_ns();
    if (entry)
        entry->hits++;
    return 0;
}
