// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
extern int CONFIG_HZ __kconfig;
extern bool CONFIG_NOT_THERE __kconfig __weak;
struct task_struct___x { unsigned int __state; } __attribute__((preserve_access_index));
struct task_struct___o { long state; } __attribute__((preserve_access_index));
static __always_inline long state_of(void *task)
{
	struct task_struct___x *t = task;

	if (bpf_core_field_exists(t->__state))
		return BPF_CORE_READ(t, __state);
	return BPF_CORE_READ((struct task_struct___o *)task, state);
}
u32 by_state[16];
SEC("raw_tp/sched_switch")
int BPF_PROG(sw, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	long s = state_of(prev);

	by_state[s & 15] += CONFIG_HZ ? 1 : 2;
	if (CONFIG_NOT_THERE)
		by_state[0] = 0;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
