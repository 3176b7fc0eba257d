// expect: line=9,13 family=null three calls down kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct v { u64 n; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, struct v); } m SEC(".maps");
static __always_inline struct v *get(u32 k) { return bpf_map_lookup_elem(&m, &k); }
static __always_inline void add(struct v *p, u64 d)
{
	p->n += d;
}
static __noinline int both(u32 k, u64 d)
{
	add(get(k), d);
	return 0;
}
SEC("tp/sched/sched_process_fork")
int t(void *ctx) { return both(3, bpf_ktime_get_ns()); }
char LICENSE[] SEC("license") = "GPL";
