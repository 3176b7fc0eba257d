// expect: line=8 family=clang kind=clang
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("tp/sched/sched_process_exec")
int ex(void *ctx)
{
	char fmt[] = "pid %d uid %d cpu %d at %llu\n";
	bpf_trace_printk(fmt, sizeof(fmt), 1, 2, 3, 4);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
