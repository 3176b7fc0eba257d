// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* A list of tasks as JSON: {"pid": …} — braces in strings are no blocks. */

#define PF_KTHREAD 0x00200000

static __always_inline const char *kind_of(const struct task_struct *t)
{
	return t->flags & PF_KTHREAD ? "kernel" : "user";
}

SEC("iter/task")
int dump_tasks(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task;

	if (ctx->meta->seq_num == 0)
		BPF_SEQ_PRINTF(seq, "{\"tasks\": [\n");
	task = ctx->task;
	if (task == (void *)0) {
		BPF_SEQ_PRINTF(seq, "]}\n");
		return 0;
	}
	if (task->flags & PF_KTHREAD)
		BPF_SEQ_PRINTF(seq, "  {\"pid\": %d, \"kernel\": true},\n", task->pid);
	else
		BPF_SEQ_PRINTF(seq,
			       "  {\"pid\": %d, \"tgid\": %d, \"comm\": \"%s\", \"kind\": \"%s\"},\n",
			       task->pid, task->tgid,
			       task->comm, kind_of(task));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
