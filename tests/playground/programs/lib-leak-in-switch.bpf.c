// expect: line=8,16,28 family=ref-leak kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct ev { u32 pid; char name[32]; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } rb SEC(".maps");
static __always_inline struct ev *make(u32 pid)
{
	struct ev *e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);
	if (e)
		e->pid = pid;
	return e;
}
SEC("tp/syscalls/sys_enter_openat")
int op(struct trace_event_raw_sys_enter *ctx)
{
	struct ev *e = make(bpf_get_current_pid_tgid() >> 32);

	if (!e)
		return 0;
	switch (ctx->args[2] & 3) {
	case 0:
		bpf_ringbuf_submit(e, 0);
		break;
	case 1:
		bpf_ringbuf_discard(e, 0);
		break;
	}
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
