// expect: line=9 family=stack-limit kind=clang
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct event { char comm[16]; char path[512]; u32 pid; };
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } ev SEC(".maps");
SEC("tp/syscalls/sys_enter_openat")
int op(struct trace_event_raw_sys_enter *ctx)
{
	struct event e = {};

	e.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(e.comm, sizeof(e.comm));
	bpf_probe_read_user_str(e.path, sizeof(e.path), (void *)ctx->args[1]);
	bpf_perf_event_output(ctx, &ev, BPF_F_CURRENT_CPU, &e, sizeof(e));
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
