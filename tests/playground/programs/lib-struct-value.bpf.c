// expect: line=9,24 family=struct by value kind=clang
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct window { u64 from, to, weight; };

u64 sum;

static __noinline void account(struct window w)
{
	if (w.to > w.from)
		sum += (w.to - w.from) * w.weight;
}

SEC("raw_tp/sched_switch")
int on_switch(struct bpf_raw_tracepoint_args *ctx)
{
	struct window w = {
		.from = ctx->args[0],
		.to = bpf_ktime_get_ns(),
		.weight = 3,
	};

	account(w);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
