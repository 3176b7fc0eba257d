// expect: line=11 family=null check missing in a global function kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct limits { u32 lo; u32 hi; };

u32 outside;

__noinline int within(const struct limits *l, u32 value)
{
	return value >= l->lo && value <= l->hi;
}

SEC("tracepoint/sched/sched_wakeup")
int on_wakeup(struct trace_event_raw_sched_wakeup_template *ctx)
{
	struct limits l = { .lo = 1, .hi = 99 };

	if (!within(&l, ctx->prio))
		outside++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
