// expect: line=10 family=wrong memory write to a kernel structure kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("tp_btf/sched_wakeup")
int BPF_PROG(boost, struct task_struct *p)
{
	if (p->static_prio > 120) {
		p->static_prio = 100;
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
