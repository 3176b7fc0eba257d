// expect: line=9 family=queue looked up kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 4); __type(value, u64); } q SEC(".maps");
SEC("tp/syscalls/sys_enter_write")
int t(void *ctx)
{
	u32 k = 0;
	u64 *v = bpf_map_lookup_elem(&q, &k);
	return v && *v;
}
char LICENSE[] SEC("license") = "GPL";
