// expect: line=10 family=null in an inner callback kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } m SEC(".maps");
u64 total;
static int inner(u32 i, u32 *base)
{
	u32 k = *base + i;
	u64 *v = bpf_map_lookup_elem(&m, &k);
	__sync_fetch_and_add(&total, *v);
	return 0;
}
static int outer(u32 i, void *d)
{
	bpf_loop(4, inner, &i, 0);
	return 0;
}
SEC("raw_tp/sched_process_fork")
int t(void *ctx) { bpf_loop(4, outer, NULL, 0); return 0; }
char LICENSE[] SEC("license") = "GPL";
