// expect: line=7 family=reads beyond the record kind=attach
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("tp/sched/sched_process_exit")
int t(u64 *ctx)
{
	return ctx[90] == 4;
}
char LICENSE[] SEC("license") = "GPL";
