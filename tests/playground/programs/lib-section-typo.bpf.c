// expect: line=7 family=unknown section kind=attach
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

int n;

SEC("tracepiont/sched/sched_switch")
int on_switch(struct trace_event_raw_sched_switch *ctx)
{
	n += ctx->prev_pid != 0;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
