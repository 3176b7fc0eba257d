// expect: line=8 family=static function loses its record kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); } rb SEC(".maps");
struct rec { u32 a; u32 b; };
static __noinline int emit(u32 a)
{
	struct rec *r = bpf_ringbuf_reserve(&rb, sizeof(*r), 0);
	if (!r)
		return -1;
	r->a = a;
	if (a > 10)
		return -2;
	bpf_ringbuf_submit(r, 0);
	return 0;
}
SEC("raw_tp/sched_process_fork")
int t(struct bpf_raw_tracepoint_args *ctx) { return emit(bpf_get_prandom_u32()); }
char LICENSE[] SEC("license") = "GPL";
