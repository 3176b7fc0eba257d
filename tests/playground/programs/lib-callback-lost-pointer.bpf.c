// expect: line=10 family=scalar-deref kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 10); __type(key, u32); __type(value, u64); } m SEC(".maps");
u64 sum;
struct acc { u64 total; u64 *out; };
static long each(void *map, u32 *key, u64 *value, struct acc *a)
{
	a->total += *value;
	a->out[2] = *value;
	return 0;
}
SEC("tp/sched/sched_process_exit")
int ex(void *ctx)
{
	struct acc a = { .out = &sum };

	bpf_for_each_map_elem(&m, each, &a, 0);
	sum = a.total;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
