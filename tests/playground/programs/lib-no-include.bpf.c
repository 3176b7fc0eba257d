// expect: line=5,4,2 family=plain c missing include kind=clang
#include "vmlinux.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} n SEC(".maps");

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	u32 zero = 0;
	u64 *v = bpf_map_lookup_elem(&n, &zero);

	if (v)
		(*v)++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
