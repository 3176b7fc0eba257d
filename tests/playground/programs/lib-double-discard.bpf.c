// expect: line=23 family=discarded and then submitted kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} rb SEC(".maps");

struct ev { u32 pid; u32 tid; };

SEC("tp/syscalls/sys_enter_kill")
int on_kill(struct trace_event_raw_sys_enter *ctx)
{
	struct ev *e;

	if (!(e = bpf_ringbuf_reserve(&rb, sizeof(struct ev), 0)))
		return 0;
	e->pid = ctx->args[0];
	e->tid = (u32)bpf_get_current_pid_tgid();
	if (e->pid == e->tid)
		bpf_ringbuf_discard(e, 0);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
