// expect: line=7,12 family=signal in a bpf_loop callback kind=policy
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
static int each(u32 i, void *d)
{
	long (*f)(u32) = (void *)(55 + 54);
	return f(i) ? 1 : 0;
}
SEC("tp/syscalls/sys_enter_write")
int t(void *ctx)
{
	bpf_loop(3, each, 0, 0);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
