// expect: line=21 family=wrong helper argument size not constant kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} events SEC(".maps");

struct event {
	u32 len;
	char data[];
};

SEC("tracepoint/syscalls/sys_enter_write")
int on_write(struct trace_event_raw_sys_enter *ctx)
{
	u64 want = ctx->args[2] & 0xff;
	struct event *e;

	e = bpf_ringbuf_reserve(&events, sizeof(*e) + want, 0);
	if (!e)
		return 0;
	e->len = want;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
