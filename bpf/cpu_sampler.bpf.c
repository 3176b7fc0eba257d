/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who is on a CPU, and where: a CPU-clock perf event per CPU. Its cost is constant, whatever
 * the load, which is why this and not sched_switch is always on.
 */
#include <uapi/linux/bpf_perf_event.h>

BPF_PERCPU_ARRAY(sample_scratch, struct sample_event, 1);

static inline u64 mix(u64 hash, u64 value)
{
    /* FNV-1a over whole words: cheap, and equal states give equal hashes. */
    return (hash ^ value) * 1099511628211ULL;
}

/*
 * The registers that a call may overwrite: a loop that computes anything changes them. Each is
 * read through ctx by name: the verifier turns that into a read of the real registers, which are
 * not where ctx points (struct bpf_perf_event_data_kern holds a pointer to them).
 */
static inline u64 hash_registers(struct bpf_perf_event_data *ctx)
{
    u64 hash = 14695981039346656037ULL;
#if defined(__x86_64__)
    hash = mix(hash, ctx->regs.ip);
    hash = mix(hash, ctx->regs.ax);
    hash = mix(hash, ctx->regs.cx);
    hash = mix(hash, ctx->regs.dx);
    hash = mix(hash, ctx->regs.si);
    hash = mix(hash, ctx->regs.di);
    hash = mix(hash, ctx->regs.r8);
    hash = mix(hash, ctx->regs.r9);
    hash = mix(hash, ctx->regs.r10);
    hash = mix(hash, ctx->regs.r11);
#elif defined(__aarch64__)
    hash = mix(hash, ctx->regs.pc);
#pragma unroll
    for (int i = 0; i < 18; i++)
        hash = mix(hash, ctx->regs.regs[i]);
#endif
    return hash;
}

int on_cpu_clock(struct bpf_perf_event_data *ctx)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct sample_event *event;
    int zero = 0;
    long n_bytes;

    if (!is_watched(tgid))
        return 0;
    event = sample_scratch.lookup(&zero);
    if (!event)
        return 0;

    fill_header(&event->header, EVENT_SAMPLE, task);
    n_bytes = bpf_get_stack(ctx, event->user_ips, sizeof(event->user_ips), BPF_F_USER_STACK);
    event->n_user_ips = n_bytes > 0 ? (u64)n_bytes >> 3 : 0;
    n_bytes = bpf_get_stack(ctx, event->kernel_ips, sizeof(event->kernel_ips), 0);
    event->n_kernel_ips = n_bytes > 0 ? (u64)n_bytes >> 3 : 0;
    event->registers_hash = 0;
    if (event->n_kernel_ips == 0)
        event->registers_hash = hash_registers(ctx);
    submit(event, sizeof(*event));
    return 0;
}
