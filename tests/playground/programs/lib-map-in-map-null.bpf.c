// expect: line=11 family=inner map unchecked kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct inner { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } in0 SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, u32); __array(values, struct inner); } outer SEC(".maps") = { .values = { &in0 } };
SEC("tp/sched/sched_process_fork")
int t(void *ctx)
{
	u32 k = 1;
	void *m = bpf_map_lookup_elem(&outer, &k);
	u64 *v = bpf_map_lookup_elem(m, &k);
	return v && *v;
}
char LICENSE[] SEC("license") = "GPL";
