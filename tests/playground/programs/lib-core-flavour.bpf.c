// expect: line=18,8 family=co-re field that does not exist kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* what it was called before 5.14 … or was it 5.13? */
struct task_struct___before {
	long state_of_old;
} __attribute__((preserve_access_index));

int state;

SEC("raw_tp/sched_switch")
int on_switch(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct___before *old = (void *)ctx->args[1];

	state = BPF_CORE_READ(old, state_of_old);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
