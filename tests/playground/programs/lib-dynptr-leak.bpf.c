// expect: line=17,16 family=reference leak dynptr kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096 * 4);
} logs SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_write")
int on_write(struct trace_event_raw_sys_enter *ctx)
{
	u32 len = ctx->args[2] & 0x3f;
	struct bpf_dynptr ptr;

	if (bpf_ringbuf_reserve_dynptr(&logs, len + 8, 0, &ptr))
		return 0;
	bpf_dynptr_write(&ptr, 0, &len, sizeof(len), 0);
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
