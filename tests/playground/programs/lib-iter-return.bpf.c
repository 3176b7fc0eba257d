// expect: line=13 family=return value out of range kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

u64 n_tasks;

SEC("iter/task")
int count(struct bpf_iter__task *ctx)
{
	if (!ctx->task)
		return 0;
	n_tasks++;
	return n_tasks & 7;
}

char LICENSE[] SEC("license") = "GPL";
