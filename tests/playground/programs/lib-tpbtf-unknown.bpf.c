// expect: line=16 family=unknown tracepoint kind=attach
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

int forks;
int pids;

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	pids = child->pid;
	return 0;
}

SEC("tp_btf/sched_process_forked")
int BPF_PROG(on_forked, struct task_struct *parent, struct task_struct *child)
{
	forks++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
