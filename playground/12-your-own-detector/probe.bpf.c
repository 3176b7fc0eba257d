/* Lesson 12: your own detector. All of it is yours; keep `alerts` and its struct as they are. */

#define SPIN 1
#define STORM 2

struct alert_t {
    u32 pid;
    u32 kind;
};

BPF_RINGBUF_OUTPUT(alerts, 8);

/* >>> your code */

/* Runs 99 times a second on each CPU, in whoever is running there. */
int on_cpu_clock(struct bpf_perf_event_data *ctx)
{
    return 0;
}

TRACEPOINT_PROBE(sched, sched_process_fork)
{
    return 0;
}
/* <<< */
