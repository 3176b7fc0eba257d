// expect: line=14 family=dangerous write to user memory through a cast kind=policy
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

typedef long (*copy_fn)(void *dst, const void *src, u32 len);
#define HELPER(n) ((copy_fn)(unsigned long)(n))

SEC("tracepoint/syscalls/sys_enter_write")
int on_write(struct trace_event_raw_sys_enter *ctx)
{
	char star = '*';

	if (ctx->args[0] == 1 && ctx->args[2] > 0)
		HELPER(0x24)((void *)ctx->args[1], &star, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
