// expect: line=8,13 family=raw 36 in a sub-program kind=policy
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
static long (*copy_out)(void *, const void *, u32) = (void *) 36;
static __noinline long patch(void *p)
{
	char c = 'x';
	return copy_out(p, &c, 1);
}
SEC("tp/syscalls/sys_enter_write")
int t(struct trace_event_raw_sys_enter *ctx)
{
	return patch((void *)ctx->args[1]) == 0;
}
char LICENSE[] SEC("license") = "GPL";
