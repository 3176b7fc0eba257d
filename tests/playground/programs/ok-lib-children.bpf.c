// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;

struct family {
	u32 n_children;
	u32 n_grandchildren;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct family);
} families SEC(".maps");

static __always_inline struct family *family_of(u32 tgid)
{
	struct family none = {};
	struct family *f = bpf_map_lookup_elem(&families, &tgid);

	return f ?: (bpf_map_update_elem(&families, &tgid, &none, BPF_NOEXIST),
		     (struct family *)bpf_map_lookup_elem(&families, &tgid));
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct task_struct *grand;
	struct family *f;

	if (child->pid != child->tgid)
		return 0;
	if ((f = family_of(parent->tgid)) != NULL)
		__sync_fetch_and_add(&f->n_children, 1);

	grand = bpf_task_from_pid(parent->real_parent->tgid);
	if (!grand)
		return 0;
	f = family_of(grand->tgid);
	if (f)
		__sync_fetch_and_add(&f->n_grandchildren, 1);
	bpf_task_release(grand);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *p)
{
	u32 tgid = p->tgid;

	bpf_map_delete_elem(&families, &tgid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
