// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define N_SLOTS 26

struct hist {
	u32 slots[N_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u32);
	__type(value, u64);
} left_at SEC(".maps");

struct hist off_cpu = {};

static __always_inline u32 log2_of(u64 v)
{
	u32 r = 0;

	/* halves it till nothing is left: at most 64 times */
	for (int i = 0; i < 64 && v > 1; i++) {
		v >>= 1;
		r++;
	}
	return r;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	u64 now = bpf_ktime_get_ns();
	u32 out = prev->pid, in = next->pid, slot;
	u64 *since;

	if (out)
		bpf_map_update_elem(&left_at, &out, &now, BPF_ANY);
	since = in ? bpf_map_lookup_elem(&left_at, &in) : NULL;
	if (since) {
		slot = log2_of((now - *since) / 1000U);
		if (slot >= N_SLOTS)
			slot = N_SLOTS - 1;
		__sync_fetch_and_add(&off_cpu.slots[slot], 1);
		bpf_map_delete_elem(&left_at, &in);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
