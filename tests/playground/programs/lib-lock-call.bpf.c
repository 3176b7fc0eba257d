// expect: line=29 family=wrong helper call while holding a lock kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct guarded {
	struct bpf_spin_lock lock;
	u32 n;
	u64 newest;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct guarded);
} state SEC(".maps");

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 zero = 0;
	struct guarded *g = bpf_map_lookup_elem(&state, &zero);

	if (!g)
		return 0;
	bpf_spin_lock(&g->lock);
	g->n++;
	g->newest = bpf_ktime_get_ns();
	bpf_spin_unlock(&g->lock);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
