// expect: line=14 family=null-deref kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct v { u64 a; u64 b[3]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 16); __type(key, u32); __type(value, struct v); } m SEC(".maps");
SEC("tp/syscalls/sys_enter_openat")
int op(struct trace_event_raw_sys_enter *ctx)
{
	u32 k = ctx->args[3] & 7;
	struct v *v;

	if ((v = bpf_map_lookup_elem(&m, &k)))
		v->a++;
	v->b[1] += 2;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
