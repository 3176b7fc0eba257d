// expect: line=18 family=callback of for_each returns 2 kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} live SEC(".maps");

u64 n_old;

static long each(struct bpf_map *map, const u32 *key, u64 *value, void *ctx)
{
	if (*value > 1000)
		__sync_fetch_and_add(&n_old, 1);
	return 2;
}

SEC("tracepoint/sched/sched_process_fork")
int on_fork(void *ctx)
{
	bpf_for_each_map_elem(&live, each, NULL, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
