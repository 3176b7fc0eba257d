#define WINDOW_NS 1000000000ULL
#define LIMIT 100

struct window_t {
    u64 began_ns;
    u64 n_forks;
};
struct alert_t {
    u32 parent;
    u32 n_forks;
};

/* By parent: its window of time, and how many forks were in it so far. */
BPF_HASH(windows, u32, struct window_t);
BPF_RINGBUF_OUTPUT(alerts, 8);

TRACEPOINT_PROBE(sched, sched_process_fork)
{
    u64 now = bpf_ktime_get_ns();
    u32 parent = bpf_get_current_pid_tgid() >> 32;
    struct window_t fresh = {.began_ns = now};
    struct window_t *window = windows.lookup_or_try_init(&parent, &fresh);
    struct alert_t alert = {};

    if (!window)
        return 0;
    window->n_forks += 1;
    if (window->n_forks == LIMIT) {
        alert.parent = parent;
        alert.n_forks = window->n_forks;
        alerts.ringbuf_output(&alert, sizeof(alert), 0);
    }
    return 0;
}
