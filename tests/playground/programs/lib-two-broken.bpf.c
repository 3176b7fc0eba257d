// expect: line=25,43,8 family=two broken programs user pointers and helper not allowed for the type kind=verifier
/*
 * Vier Programme in einer Datei, zwei davon dürfen nicht: „so geht's nicht“ ✗
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define FIRST_CHAR(ptr) (*(const char *)(ptr))
#if 0
this { is not compiled
#endif

u64 absolute, relative, execs;

SEC("tracepoint/sched/sched_process_exec")
int on_exec(void *ctx)
{
	execs++;
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_openat")
int on_openat(struct trace_event_raw_sys_enter *ctx)
{
	if (FIRST_CHAR(ctx->args[1]) == '/')
		absolute++;
	else
		relative++;
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_openat")
int on_openat_done(struct trace_event_raw_sys_exit *ctx)
{
	return ctx->ret < 0;
}

SEC("raw_tp/sys_exit")
int on_any(struct bpf_raw_tracepoint_args *ctx)
{
	struct bpf_perf_event_value v = {};

	bpf_perf_prog_read_value((void *)ctx, &v, sizeof(v));
	execs += v.counter;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
