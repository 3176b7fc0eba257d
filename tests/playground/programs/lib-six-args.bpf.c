// expect: line=19,20,21,8 family=five-plus arguments kind=clang
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

u64 table[16];

static __noinline
int put(u32 a, u32 b, u32 c, u32 d, u32 e, u32 f)
{
	table[a & 15] = b;
	table[c & 15] = d;
	table[e & 15] = f;
	return 0;
}

SEC("tracepoint/sched/sched_switch")
int on_switch(struct trace_event_raw_sched_switch *ctx)
{
	return put(ctx->prev_pid, ctx->prev_prio, ctx->next_pid,
		   ctx->next_prio, bpf_get_smp_processor_id(),
		   bpf_get_prandom_u32());
}

char LICENSE[] SEC("license") = "GPL";
