// expect: line=10,20 family=return value out of range of a callback kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct acc { u64 sum; u32 limit; };

static long add(u32 i, struct acc *a)
{
	a->sum += i;
	return a->sum > a->limit ? -1 : 0;
}

u64 result;

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	struct acc a = { .limit = 1000 };

	bpf_loop(100, add, &a, 0);
	result = a.sum;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
