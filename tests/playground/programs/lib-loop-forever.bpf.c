// expect: line=13 family=loop without a bound kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

volatile u64 ready;
u64 spins;

SEC("tracepoint/sched/sched_switch")
int on_switch(struct trace_event_raw_sched_switch *ctx)
{
	if (ctx->next_pid != 1)
		return 0;
	while (!ready)
		;
	spins = 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
