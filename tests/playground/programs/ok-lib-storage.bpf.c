// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct span { u64 began; u64 n; };

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct span);
} spans SEC(".maps");

u64 longest_ns;

static __noinline u64 close_span(struct span *s, u64 now)
{
	u64 spent;

	if (!s || !s->began)
		return 0;
	spent = now - s->began;
	s->began = 0;
	s->n++;
	return spent;
}

/* {enter, leave} pairs by task */
SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter, struct pt_regs *regs, long id)
{
	struct span *s = bpf_task_storage_get(&spans, bpf_get_current_task_btf(),
					      NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (s)
		s->began = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_leave, struct pt_regs *regs, long ret)
{
	struct task_struct *me = bpf_get_current_task_btf();
	u64 spent = close_span(bpf_task_storage_get(&spans, me, NULL, 0),
			       bpf_ktime_get_ns());

	if (spent > longest_ns)
		longest_ns = spent;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
