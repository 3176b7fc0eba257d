// expect: line=30,31 family=null behind a switch, kernel style kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

enum op { READ, WRITE, NR_OPS };

struct stat_t { u64 calls[NR_OPS]; u64 bytes[NR_OPS]; };

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct stat_t);
} stats SEC(".maps");

static __always_inline int account(enum op op, long n)
{
	u64 key = bpf_get_current_cgroup_id();
	struct stat_t *s, init = {};

	s = bpf_map_lookup_elem(&stats, &key);
	if (!s) {
		bpf_map_update_elem(&stats, &key, &init, BPF_NOEXIST);
		s = bpf_map_lookup_elem(&stats, &key);
	}
	switch (op) {
	case READ:
	case WRITE:
		s->calls[op]++;
		s->bytes[op] += n;
		break;
	default:
		break;
	}
	return 0;
}

SEC("tp/syscalls/sys_exit_read")
int read_exit(struct trace_event_raw_sys_exit *ctx)
{
	if (ctx->ret < 0)
		return 0;
	return account(READ, ctx->ret);
}

SEC("tp/syscalls/sys_exit_write")
int write_exit(struct trace_event_raw_sys_exit *ctx)
{
	return ctx->ret < 0 ? 0 : account(WRITE, ctx->ret);
}

char LICENSE[] SEC("license") = "GPL";
