// expect: line=26,6,16,22 family=helper not allowed for the type spin lock kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct pair {
	struct bpf_spin_lock lock;
	u64 reads;
	u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, u32);
	__type(value, struct pair);
} pairs SEC(".maps");

SEC("tracepoint/syscalls/sys_exit_read")
int on_read(struct trace_event_raw_sys_exit *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct pair *p = bpf_map_lookup_elem(&pairs, &tgid);

	if (!p)
		return 0;
	bpf_spin_lock(&p->lock);
	p->reads++;
	p->bytes += ctx->ret;
	bpf_spin_unlock(&p->lock);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
