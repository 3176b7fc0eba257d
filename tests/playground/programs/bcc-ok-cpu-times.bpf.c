// expect: ok
typedef struct entry_key { u32 pid; u32 cpu; } entry_key_t;
typedef struct pid_key { u64 id; u64 slot; } pid_key_t;
typedef struct ext_val { u64 total; u64 count; } ext_val_t;
BPF_HASH(start, entry_key_t, u64, 10240);
BPF_HISTOGRAM(dist, pid_key_t, 1024);
BPF_HASH(extension, pid_key_t, ext_val_t, 1024);
static inline void store_start(u32 tgid, u32 pid, u32 cpu, u64 ts)
{
    entry_key_t entry_key = { .pid = pid, .cpu = (pid == 0 ? cpu : 0xFFFFFFFF) };
    start.update(&entry_key, &ts);
}
static inline void update_hist(u32 tgid, u32 pid, u32 cpu, u64 ts)
{
    entry_key_t entry_key = { .pid = pid, .cpu = (pid == 0 ? cpu : 0xFFFFFFFF) };
    u64 *tsp = start.lookup(&entry_key);
    if (tsp == 0)
        return;
    if (ts < *tsp) {
        // out of order: nothing { to do }
        return;
    }
    u64 delta = ts - *tsp;
    pid_key_t key = { .id = tgid, .slot = bpf_log2l(delta) };
    dist.atomic_increment(key);
    ext_val_t zero = {}, *ext = extension.lookup_or_try_init(&key, &zero);
    if (ext) {
        ext->total += delta;
        ext->count++;
        u64 average = ext->total / ext->count;
        if (average > 1000000000)
            extension.delete(&key);
    }
}
TRACEPOINT_PROBE(sched, sched_switch)
{
    u64 ts = bpf_ktime_get_ns();
    u64 pid_tgid = bpf_get_current_pid_tgid();
    u32 tgid = pid_tgid >> 32, pid = pid_tgid;
    u32 cpu = bpf_get_smp_processor_id();
    u32 prev_pid = args->prev_pid;
    update_hist(tgid, prev_pid, cpu, ts);
    store_start(tgid, pid, cpu, ts);
    store_start(0, args->next_pid, cpu, ts);
    return 0;
}
