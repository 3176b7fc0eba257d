// expect: line=14,10 family=context beyond its end kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

u64 last_code;

/* sched_process_exit(struct task_struct *p[, bool group_dead]) */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *p, bool group_dead, u64 a, u64 b, u64 code)
{
	if (p->pid != p->tgid)
		return 0;
	last_code = code;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
