// expect: line=13,6 family=extern function that does not exist kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern int bpf_task_depth_of(struct task_struct *t) __ksym;

int depth;

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	depth = bpf_task_depth_of(child);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
