// expect: line=25,12 family=wrong map for helper stack id into an array kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

typedef u64 stack_t_[32];

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1000);
	__type(key, u32);
	__type(value, stack_t_);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1000);
	__type(key, int);
	__type(value, u64);
} counts SEC(".maps");

SEC("perf_event")
int on_sample(struct bpf_perf_event_data *ctx)
{
	u64 one = 1, *n;
	int id = bpf_get_stackid(ctx,
				 &stacks,
				 BPF_F_USER_STACK);

	if (id < 0)
		return 0;
	n = bpf_map_lookup_elem(&counts, &id);
	if (n)
		*n += 1;
	else
		bpf_map_update_elem(&counts, &id, &one, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
