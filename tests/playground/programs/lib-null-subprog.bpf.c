// expect: line=19,30 family=null check missing in an own noinline function kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct acct {
	u64 bytes;
	u64 calls;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct acct);
} accts SEC(".maps");

static __noinline void charge(struct acct *a, long bytes)
{
	a->calls++;
	if (bytes > 0)
		a->bytes += bytes;
}

SEC("tracepoint/syscalls/sys_exit_write")
int leave_write(struct trace_event_raw_sys_exit *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct acct *a = bpf_map_lookup_elem(&accts, &tgid);

	charge(a, ctx->ret);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
