// expect: line=13,11 family=lock-held kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
int n;
SEC("tp_btf/sched_process_exit")
int BPF_PROG(ex, struct task_struct *p)
{
	bpf_rcu_read_lock();
	if (p->pid == 1)
		return 0;
	n += p->prio;
	bpf_rcu_read_unlock();
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
