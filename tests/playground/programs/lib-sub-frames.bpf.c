// expect: line=6,15 family=stack pointer of a caller overrun kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
static __noinline void fill(char *to, u32 n)
{
	bpf_probe_read_kernel(to, n, (void *)bpf_get_current_task());
}
SEC("tp/sched/sched_process_fork")
int t(void *ctx)
{
	char b[16] = {};
	u32 n = bpf_get_prandom_u32();
	if (n > 32)
		n = 32;
	fill(b, n);
	return b[3];
}
char LICENSE[] SEC("license") = "GPL";
