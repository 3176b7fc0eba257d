// expect: line=7 family=helper of another type kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("tp/sched/sched_process_fork")
int t(struct pt_regs *ctx)
{
	u64 ip = bpf_get_func_ip(ctx);
	return ip == 0;
}
char LICENSE[] SEC("license") = "GPL";
