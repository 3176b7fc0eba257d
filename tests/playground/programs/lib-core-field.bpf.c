// expect: line=16 family=field of another kernel kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct___old {
	long state;
} __attribute__((preserve_access_index));

int state;

static __always_inline int get_state(struct task_struct *t)
{
	struct task_struct___old *o = (void *)t;

	return BPF_CORE_READ(o, state);
}

SEC("raw_tp/sched_process_exit")
int t(struct bpf_raw_tracepoint_args *ctx)
{
	state = get_state((struct task_struct *)ctx->args[0]);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
