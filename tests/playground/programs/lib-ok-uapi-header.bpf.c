// expect: ok
// counts only; no GPL-only helper, so any licence is fine
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
typedef unsigned long long count_t;
struct ctx_layout {
	unsigned short common_type;
	unsigned char common_flags, common_preempt_count;
	int common_pid;
	long id;
	unsigned long args[6];
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 600);
	__type(key, long);
	__type(value, count_t);
} calls SEC(".maps");

SEC("tracepoint/raw_syscalls/sys_enter")
int count(struct ctx_layout *ctx)
{
	count_t one = 1, *seen;
	long id = ctx->id;

	seen = bpf_map_lookup_elem(&calls, &id);
	if (seen) {
		*seen += 1;
		return 0;
	}
	return bpf_map_update_elem(&calls, &id, &one, BPF_NOEXIST) ? 0 : 0;
}
char _license[] SEC("license") = "Apache-2.0";
