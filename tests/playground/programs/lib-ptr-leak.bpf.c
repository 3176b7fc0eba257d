// expect: line=23 family=pointer leak as return value kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

u64 n_threads;

SEC("raw_tp/task_newtask")
int newtask(void *ctx)
{
	__sync_fetch_and_add(&n_threads, 1);
	return 0;
}

SEC("iter/task")
int where_is(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task)
		return 0;
	if (task->pid == 1)
		n_threads++;
	return (int)(unsigned long)task;
}

char LICENSE[] SEC("license") = "GPL";
