// expect: line=10,20 family=dereferencing kernel pointers directly kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

u64 n_kernel_threads;

static __always_inline bool is_kernel_thread(const struct task_struct *t)
{
	return t->flags & 0x00200000; /* PF_KTHREAD */
}

SEC("raw_tracepoint/sched_process_fork")
int forked(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *child = (struct task_struct *)ctx->args[1];

	if (BPF_CORE_READ(child, pid) == 0)
		return 0;
	if (is_kernel_thread(child))
		n_kernel_threads++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
