// expect: line=7 family=unknown tracepoint kind=attach
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

int n;

SEC("tracepoint/syscalls/sys_enter_open_at")
int on_open(struct trace_event_raw_sys_enter *ctx)
{
	__sync_fetch_and_add(&n, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
