// expect: line=8 family=write_user by inline assembly kind=policy
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("tp/syscalls/sys_enter_write")
int t(struct trace_event_raw_sys_enter *ctx)
{
	void *to = (void *)ctx->args[1];
	asm volatile("r1 = %[to]; r2 = r10; r2 += -8; r3 = 8; call 36"
		     :: [to]"r"(to) : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
