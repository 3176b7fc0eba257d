// expect: line=31,23 family=reference leak in a branch kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u64);
} cpu_time SEC(".maps");

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct task_struct *ref;
	u32 pid = child->pid;
	u64 *spent;

	ref = bpf_task_from_pid(parent->tgid);
	if (!ref)
		return 0;
	spent = bpf_map_lookup_elem(&cpu_time, &pid);
	if (!spent) {
		u64 none = 0;

		bpf_map_update_elem(&cpu_time, &pid, &none, BPF_NOEXIST);
		return 1;
	}
	*spent += ref->utime;
	bpf_task_release(ref);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
