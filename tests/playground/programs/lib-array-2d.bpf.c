// expect: line=11 family=two-dimensional table kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
u32 grid[8][16];
SEC("tp/syscalls/sys_enter_lseek")
int t(struct trace_event_raw_sys_enter *ctx)
{
	u32 x = ctx->args[0], y = ctx->args[1];
	if (x >= 16 || y > 8)
		return 0;
	grid[y][x]++;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
