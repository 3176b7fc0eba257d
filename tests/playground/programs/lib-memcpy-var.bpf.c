// expect: line=16 family=memcpy of a variable length kind=clang
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char store[256];

SEC("tp/syscalls/sys_enter_write")
int t(struct trace_event_raw_sys_enter *ctx)
{
	char tmp[64] = {};
	unsigned n = ctx->args[2];

	if (n > sizeof(tmp))
		n = sizeof(tmp);
	bpf_probe_read_user(tmp, sizeof(tmp), (void *)ctx->args[1]);
	__builtin_memcpy(store, tmp, n);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
