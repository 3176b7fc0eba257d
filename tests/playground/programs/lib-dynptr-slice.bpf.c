// expect: line=22 family=slice not checked kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} rb SEC(".maps");

SEC("tp/syscalls/sys_enter_write")
int t(struct trace_event_raw_sys_enter *ctx)
{
	struct bpf_dynptr ptr;
	u64 *p;
	u32 n = ctx->args[2] & 0xfff;

	if (bpf_ringbuf_reserve_dynptr(&rb, n, 0, &ptr)) {
		bpf_ringbuf_discard_dynptr(&ptr, 0);
		return 0;
	}
	p = bpf_dynptr_data(&ptr, 0, sizeof(*p));
	*p = ctx->args[0];
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
