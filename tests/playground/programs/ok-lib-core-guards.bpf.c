// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
struct request_queue___x { void *disk; } __attribute__((preserve_access_index));
struct nothing_like_it___y { int a; } __attribute__((preserve_access_index));
struct task_struct___old { long state; } __attribute__((preserve_access_index));
u64 out;
SEC("raw_tp/sched_switch")
int t(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *p = (void *)ctx->args[1];
	struct task_struct___old *o = (void *)p;
	if (bpf_core_field_exists(o->state))
		out = BPF_CORE_READ(o, state);
	else
		out = BPF_CORE_READ(p, __state);
	if (bpf_core_type_exists(struct nothing_like_it___y))
		out++;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
