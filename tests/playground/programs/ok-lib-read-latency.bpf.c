// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct begun { u64 at; u32 fd; u32 pad; };

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 10240);
	__type(key, u64);
	__type(value, struct begun);
} reads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, u32);
	__type(value, struct { u64 n; u64 ns; });
} totals SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_read")
int enter_read(struct trace_event_raw_sys_enter *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	struct begun b = { bpf_ktime_get_ns(), (u32)ctx->args[0], 0 };

	return bpf_map_update_elem(&reads, &id, &b, BPF_ANY), 0;
}

SEC("tracepoint/syscalls/sys_exit_read")
int exit_read(struct trace_event_raw_sys_exit *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	struct begun *b = bpf_map_lookup_elem(&reads, &id);
	struct { u64 n; u64 ns; } *t;
	u32 class;

	if (!b)
		return 0;
	class = ctx->ret < 0 ? 2 : b->fd > 2;
	t = bpf_map_lookup_elem(&totals, &class);
	while (t) {
		__sync_fetch_and_add(&t->n, 1);
		__sync_fetch_and_add(&t->ns, bpf_ktime_get_ns() - b->at);
		break;
	}
	bpf_map_delete_elem(&reads, &id);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
