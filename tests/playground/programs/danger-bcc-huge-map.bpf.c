// expect: line=8 family=dangerous huge map kind=policy
struct sample_row {
    u64 ips[120];
    u64 when;
    u32 pid;
    u32 cpu;
};
BPF_ARRAY(everything, struct sample_row, 400000);

int on_sample(struct bpf_perf_event_data *ctx)
{
    u32 slot = bpf_get_prandom_u32() % 400000;
    struct sample_row *row = everything.lookup(&slot);

    if (row) {
        row->when = bpf_ktime_get_ns();
        row->pid = bpf_get_current_pid_tgid() >> 32;
        row->cpu = bpf_get_smp_processor_id();
    }
    return 0;
}
