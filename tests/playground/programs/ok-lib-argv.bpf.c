// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define ARGS_MAX 1024 /* a power of two */

struct args_event {
	u32 pid;
	u32 len;
	u8 bytes[ARGS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct args_event);
} heap SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} out SEC(".maps");

SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	u64 start = BPF_CORE_READ(task, mm, arg_start);
	u64 len = BPF_CORE_READ(task, mm, arg_end) - start;
	struct args_event *e = bpf_map_lookup_elem(&heap, &(u32){ 0 });

	if (e == NULL)
		return 0;
	if (len >= ARGS_MAX)
		len = ARGS_MAX - 1;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->len = len;
	if (bpf_probe_read_user(e->bytes, len, (void *)start) == 0)
		bpf_perf_event_output(ctx, &out, BPF_F_CURRENT_CPU,
				      e, sizeof(*e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
