// expect: line=7,16 family=dangerous networking program types kind=policy
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

u64 dropped;

SEC("xdp")
int drop_some(struct xdp_md *ctx)
{
	if (bpf_get_prandom_u32() & 1)
		return XDP_PASS;
	__sync_fetch_and_add(&dropped, 1);
	return XDP_DROP;
}

SEC("tc")
int drop_all(struct __sk_buff *skb)
{
	return 2; /* TC_ACT_SHOT */
}

char LICENSE[] SEC("license") = "GPL";
