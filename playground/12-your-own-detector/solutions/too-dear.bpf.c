#define SPIN 1
#define STORM 2

struct alert_t {
    u32 pid;
    u32 kind;
};

BPF_RINGBUF_OUTPUT(alerts, 8);

#define WINDOW_NS 1000000000ULL
#define MANY_FORKS 100
#define MANY_SAMPLES 40

struct busy_t {
    u64 n_sleeps;
    u64 n_samples;
};
struct window_t {
    u64 began_ns;
    u64 n_forks;
};

BPF_HASH(busy, u32, struct busy_t);
BPF_HASH(windows, u32, struct window_t);

/* Who is seen on a CPU many times and has not slept in between spins. */
int on_cpu_clock(struct bpf_perf_event_data *ctx)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    u32 pid = bpf_get_current_pid_tgid() >> 32;
    struct busy_t fresh = {};
    struct busy_t *seen;
    struct alert_t alert = {.pid = pid, .kind = SPIN};

    if (!pid)
        return 0;
    seen = busy.lookup_or_try_init(&pid, &fresh);
    if (!seen)
        return 0;
    if (seen->n_sleeps != task->nvcsw) {
        seen->n_sleeps = task->nvcsw;
        seen->n_samples = 0;
    }
    seen->n_samples += 1;
    if (seen->n_samples == MANY_SAMPLES)
        alerts.ringbuf_output(&alert, sizeof(alert), 0);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_process_fork)
{
    u32 pid = bpf_get_current_pid_tgid() >> 32;
    u64 now = bpf_ktime_get_ns();
    struct window_t fresh = {.began_ns = now};
    struct window_t *window = windows.lookup_or_try_init(&pid, &fresh);
    struct alert_t alert = {.pid = pid, .kind = STORM};

    if (!window)
        return 0;
    if (now - window->began_ns > WINDOW_NS) {
        window->began_ns = now;
        window->n_forks = 0;
    }
    window->n_forks += 1;
    if (window->n_forks == MANY_FORKS)
        alerts.ringbuf_output(&alert, sizeof(alert), 0);
    return 0;
}

/* Pids are used again. */
TRACEPOINT_PROBE(sched, sched_process_exit)
{
    u32 pid = args->pid;

    busy.delete(&pid);
    windows.delete(&pid);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_switch)
{
    u64 sum = 0;

    for (int i = 0; i < 4000; i++)
        sum += bpf_ktime_get_ns();
    return sum == 1;
}
