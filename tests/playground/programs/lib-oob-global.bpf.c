// expect: line=17,16 family=bounds global array kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define N_LINES 16

u64 irqs[N_LINES];
u64 total;

SEC("raw_tp/irq_handler_entry")
int on_irq(struct bpf_raw_tracepoint_args *ctx)
{
	u32 line = ctx->args[0];

	total++;
	if (line > 0 && line < 2 * N_LINES)
		irqs[line] += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
