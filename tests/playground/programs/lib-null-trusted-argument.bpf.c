// expect: line=12 family=null-deref kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
SEC("tp_btf/sched_process_exit")
int BPF_PROG(ex, struct task_struct *p)
{
	struct task_struct *t = bpf_task_from_pid(1);

	bpf_task_release(t);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
