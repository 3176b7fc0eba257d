// expect: line=72 family=null check missing in an own inline function several programs far down kind=verifier
/*
 * Latencies of a few system calls, by process: "{" and "}" in here must not
 * confuse anyone.
 */
#define MAX_NAME 16
#define NS_PER_US 1000
#define SLOT(us) ((us) > 1000000 ? 20 : bpf_log2l(us))

enum op {
    LAT_READ = 0,
    LAT_WRITE,
    LAT_FSYNC,
    LAT_OPEN,
    N_OPS,
};

struct start_key {
    u32 tid;
    u32 op;
};

struct lat_key {
    u32 tgid;
    u32 op;
    u64 slot;
};

struct summary {
    u64 n;
    u64 total_us;
    u64 max_us;
    char comm[MAX_NAME];
};

BPF_HASH(starts, struct start_key, u64, 8192);
BPF_HASH(latencies, struct lat_key, u64, 8192);
BPF_HASH(summaries, u32, struct summary, 1024);

static inline void enter(enum op op)
{
    struct start_key key = { .tid = (u32)bpf_get_current_pid_tgid(), .op = op };
    u64 now = bpf_ktime_get_ns();

    starts.update(&key, &now);
}

static inline struct summary *summary_of(u32 tgid)
{
    struct summary zero = {};

    bpf_get_current_comm(&zero.comm, sizeof(zero.comm));
    return summaries.lookup_or_try_init(&tgid, &zero);
}

static inline void leave(enum op op)
{
    u64 id = bpf_get_current_pid_tgid();
    struct start_key key = { .tid = (u32)id, .op = op };
    struct lat_key lat = { .tgid = id >> 32, .op = op };
    struct summary *sum;
    u64 *begin = starts.lookup(&key);
    u64 us;

    if (!begin)
        return;
    us = (bpf_ktime_get_ns() - *begin) / NS_PER_US;
    starts.delete(&key);
    lat.slot = SLOT(us);
    latencies.increment(lat);
    sum = summary_of(lat.tgid);
    sum->n++;
    sum->total_us += us;
    if (us > sum->max_us)
        sum->max_us = us;
}

TRACEPOINT_PROBE(syscalls, sys_enter_read)
{
    enter(LAT_READ);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_write)
{
    enter(LAT_WRITE);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_fsync)
{
    enter(LAT_FSYNC);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_exit_read)
{
    if (args->ret < 0)
        return 0;
    leave(LAT_READ);
    return 0;
}
