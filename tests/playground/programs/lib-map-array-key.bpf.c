// expect: line=12,13,15,17 family=map definition array key of eight bytes kind=map
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, u64);
	__type(value, u64);
} fine SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, u64);
	__type(value, u64);
} not_so_fine SEC(".maps");

SEC("raw_tp/sys_enter")
int enter(struct bpf_raw_tracepoint_args *ctx)
{
	u64 nr = ctx->args[1] & 15;
	u64 *a = bpf_map_lookup_elem(&fine, &nr);
	u64 *b = bpf_map_lookup_elem(&not_so_fine, &nr);

	if (a && b)
		*a = *b;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
