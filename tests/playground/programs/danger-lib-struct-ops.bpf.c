// expect: line=25,8,14,20 family=dangerous struct_ops kind=policy
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

SEC("struct_ops/lazy_ssthresh")
u32 BPF_PROG(lazy_ssthresh, struct sock *sk)
{
	return 2;
}

SEC("struct_ops/lazy_undo")
u32 BPF_PROG(lazy_undo, struct sock *sk)
{
	return 10;
}

SEC("struct_ops/lazy_avoid")
void BPF_PROG(lazy_avoid, struct sock *sk, u32 ack, u32 acked)
{
}

SEC(".struct_ops")
struct tcp_congestion_ops lazy = {
	.ssthresh = (void *)lazy_ssthresh,
	.undo_cwnd = (void *)lazy_undo,
	.cong_avoid = (void *)lazy_avoid,
	.name = "bpf_lazy",
};
