// expect: line=13 family=wrong helper argument format string kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char text[64];

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *p)
{
	int code = p->exit_code;

	BPF_SNPRINTF(text, sizeof(text), "{%d left with %5.2f}",
		     p->pid, code);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
