// expect: line=22 family=wrong field name of a tracepoint kind=clang
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct pair {
	u32 parent;
	u32 child;
};

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1024);
	__uint(key_size, 0);
	__uint(value_size, sizeof(struct pair));
} births SEC(".maps");

SEC("tp/sched/sched_process_fork")
int on_fork(struct trace_event_raw_sched_process_fork *ctx)
{
	struct pair p = {
		.parent = ctx->parent_pid,
		.child = ctx->child_tid,
	};

	return bpf_map_push_elem(&births, &p, BPF_EXIST);
}

char LICENSE[] SEC("license") = "GPL";
