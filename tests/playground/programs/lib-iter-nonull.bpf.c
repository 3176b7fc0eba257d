// expect: line=12,13 family=null check missing iterator context kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("iter/task")
int dump(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;

	BPF_SEQ_PRINTF(seq, "%8d %8d\n", task->tgid,
		       task->pid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
