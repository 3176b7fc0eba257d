// expect: line=19 family=null in a bpf_loop callback kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} m SEC(".maps");

struct cb_ctx { u64 sum; };

static int sum_up(u32 i, void *data)
{
	struct cb_ctx *c = data;
	u64 *v = bpf_map_lookup_elem(&m, &i);

	c->sum += *v;
	return 0;
}

SEC("tp/sched/sched_process_exit")
int on_exit(void *ctx)
{
	struct cb_ctx c = {};

	bpf_loop(64, sum_up, &c, 0);
	return c.sum > 5;
}

char _license[] SEC("license") = "GPL";
