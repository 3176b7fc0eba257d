// expect: line=5,6,7 family=map definition ring buffer without a size kind=map
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
} ring SEC(".maps");

SEC("tp/sched/sched_process_fork")
int on_fork(struct trace_event_raw_sched_process_fork *ctx)
{
	u32 *pid = bpf_ringbuf_reserve(&ring, 4, 0);

	if (pid) {
		*pid = ctx->child_pid;
		bpf_ringbuf_submit(pid, 0);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
