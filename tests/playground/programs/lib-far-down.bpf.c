// expect: line=100,98,101 family=too many instructions far down in a long file kind=verifier
/*
 * Looks for the busiest of the children of a task.
 *
 * The walk over all slots is what { breaks } it: each step asks the map, and
 * every answer may be another one.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define MAX_CHILDREN 1024
#define MAX_DEPTH 1024
#define NAME_LEN 16

#ifdef WITH_NAMES
struct name {
	char text[NAME_LEN];
};
#endif

struct child {
	u32 tgid;
	u32 parent;
	u64 started_ns;
	struct {
		u64 run_ns;
		u64 wait_ns;
	} spent;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_CHILDREN);
	__type(key, u32);
	__type(value, struct child);
} children SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_CHILDREN);
	__type(key, u32);
	__type(value, u32);
} busiest SEC(".maps");

const char banner[] SEC(".rodata.banner") = "children { of } tasks";

static __always_inline struct child *child_of(u32 tgid)
{
	return bpf_map_lookup_elem(&children, &tgid);
}

static __always_inline u64 busy(const struct child *c)
{
	return c->spent.run_ns + c->spent.wait_ns / 2;
}

SEC("tracepoint/sched/sched_process_fork")
int on_fork(struct trace_event_raw_sched_process_fork *ctx)
{
	struct child c = {};
	u32 pid = ctx->child_pid;

	c.tgid = pid;
	c.parent = ctx->parent_pid;
	c.started_ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&children, &pid, &c, BPF_ANY);
	return 0;
}

SEC("tracepoint/sched/sched_stat_runtime")
int on_runtime(struct trace_event_raw_sched_stat_runtime *ctx)
{
	struct child *c = child_of(ctx->pid);

	if (c)
		c->spent.run_ns += ctx->runtime;
	return 0;
}

SEC("tracepoint/sched/sched_process_exit")
int on_exit(void *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;

	bpf_map_delete_elem(&children, &tgid);
	return 0;
}

SEC("perf_event")
int find_busiest(struct bpf_perf_event_data *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	u64 most = 0;
	u32 best = 0;

#pragma clang loop unroll(disable)
	for (u32 depth = 0; depth < MAX_DEPTH; depth++) {
#pragma clang loop unroll(disable)
		for (u32 slot = 0; slot < MAX_CHILDREN; slot++) {
			struct child *c = child_of(slot * depth + tgid);

			if (!c)
				continue;
			if (busy(c) > most && c->parent == tgid) {
				most = busy(c);
				best = c->tgid;
			}
		}
	}
	if (best)
		bpf_map_update_elem(&busiest, &tgid, &best, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
