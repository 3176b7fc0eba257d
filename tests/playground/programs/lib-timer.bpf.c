// expect: line=7,12 family=timer in tracing kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct elem { struct bpf_timer t; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct elem); } timers SEC(".maps");
SEC("tp/sched/sched_process_fork")
int t(void *ctx)
{
	int k = 0;
	struct elem *e = bpf_map_lookup_elem(&timers, &k);
	if (e)
		bpf_timer_init(&e->t, &timers, 1);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
