// expect: line=25,15 family=null check missing array with a variable key kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 512);
	__type(key, u32);
	__type(value, u64);
} by_syscall SEC(".maps");

#define BUMP(map, k)                                     \
	({                                               \
		u64 *__v = bpf_map_lookup_elem(&map, k); \
		__sync_fetch_and_add(__v, 1);            \
	})

SEC("tracepoint/raw_syscalls/sys_enter")
int enter(struct trace_event_raw_sys_enter *ctx)
{
	u32 nr = ctx->id;

	if (nr >= 512)
		return 0;
	BUMP(by_syscall, &nr);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
