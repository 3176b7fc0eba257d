// expect: line=25,7,19 family=stack over 512 bytes of nested calls kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

static __noinline int print_comm(struct seq_file *seq, const void *comm)
{
	char line[256] = {};

	if (bpf_probe_read_kernel_str(line + 2, sizeof(line) - 2, comm) < 0)
		return -1;
	line[0] = '#';
	return bpf_seq_write(seq, line, sizeof(line));
}

SEC("iter/task")
int dump(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	char header[320] = {};

	if (!task)
		return 0;
	header[300] = '/';
	bpf_seq_write(ctx->meta->seq, header, sizeof(header));
	print_comm(ctx->meta->seq, task->comm);
	bpf_seq_write(ctx->meta->seq, header, sizeof(header));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
