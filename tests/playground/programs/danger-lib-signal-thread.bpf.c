// expect: line=11,17 family=dangerous signal in an inline function kind=policy
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

volatile const u32 grace = 3;
u32 strikes;

static __always_inline void punish(int sig)
{
	if (++strikes > grace)
		bpf_send_signal_thread(sig);
}

SEC("tracepoint/syscalls/sys_enter_ptrace")
int on_ptrace(void *ctx)
{
	punish(19);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
