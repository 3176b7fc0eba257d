// expect: line=16,17 family=null check missing kfunc kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;

int found_tgid;

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *p)
{
	struct task_struct *init = bpf_task_from_pid(1);

	found_tgid = init->tgid;
	bpf_task_release(init);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
