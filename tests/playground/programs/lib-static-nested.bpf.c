// expect: line=47 family=off by one two calls down kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define MAX_SLOTS 26

struct hist {
	__u32 slots[MAX_SLOTS];
};

static struct hist zero;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, struct hist);
} hists SEC(".maps");

static __always_inline u64 log2(u32 v)
{
	u32 shift, r;

	r = (v > 0xFFFF) << 4; v >>= r;
	shift = (v > 0xFF) << 3; v >>= shift; r |= shift;
	shift = (v > 0xF) << 2; v >>= shift; r |= shift;
	shift = (v > 0x3) << 1; v >>= shift; r |= shift;
	r |= (v >> 1);

	return r;
}

static __always_inline u64 log2l(u64 v)
{
	u32 hi = v >> 32;

	if (hi)
		return log2(hi) + 32;
	else
		return log2(v);
}

static __noinline void record(struct hist *histp, u64 delta)
{
	u64 slot = log2l(delta);

	__sync_fetch_and_add(&histp->slots[slot], 1);
}

static int trace_switch(u32 pid, u64 delta)
{
	struct hist *histp;

	histp = bpf_map_lookup_elem(&hists, &pid);
	if (!histp) {
		bpf_map_update_elem(&hists, &pid, &zero, BPF_NOEXIST);
		histp = bpf_map_lookup_elem(&hists, &pid);
		if (!histp)
			return 0;
	}
	record(histp, delta);
	return 0;
}

SEC("tp/sched/sched_stat_runtime")
int on_runtime(struct trace_event_raw_sched_stat_runtime *ctx)
{
	return trace_switch(ctx->pid, ctx->runtime);
}

char LICENSE[] SEC("license") = "GPL";
