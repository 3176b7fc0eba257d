// expect: ok
/*
 * Run queue latency in µs { log2 }: from the wakeup to the switch.
 */
#define NS_PER_US 1000ULL
#define LOG2_SLOT(ns) bpf_log2l((ns) / NS_PER_US)

struct waiting {
    u64 since;
    struct {
        u32 waker;
        u32 cpu;
    } by;
};

BPF_HASH(waiters, u32, struct waiting, 10240);
BPF_HISTOGRAM(latency, u64, 64);

static inline void starts_waiting(u32 pid)
{
    struct waiting w = {};

    if (pid == 0)
        return;
    w.since = bpf_ktime_get_ns();
    w.by.waker = (u32)bpf_get_current_pid_tgid();
    w.by.cpu = bpf_get_smp_processor_id();
    waiters.update(&pid, &w);
}

RAW_TRACEPOINT_PROBE(sched_wakeup)
{
    struct task_struct *p = (struct task_struct *)ctx->args[0];

    starts_waiting(p->pid);
    return 0;
}

RAW_TRACEPOINT_PROBE(sched_wakeup_new)
{
    struct task_struct *p = (struct task_struct *)ctx->args[0];

    starts_waiting(p->pid);
    return 0;
}

RAW_TRACEPOINT_PROBE(sched_switch)
{
    struct task_struct *next = (struct task_struct *)ctx->args[2];
    u32 pid = next->pid;
    struct waiting *w;

    if (pid == 0 || !(w = waiters.lookup(&pid)))
        return 0;
    u64 waited = bpf_ktime_get_ns() - w->since;
    latency.increment(LOG2_SLOT(waited));
    waiters.delete(&pid);
    return 0;
}
