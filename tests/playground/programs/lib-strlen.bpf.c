// expect: line=13 family=libc call kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

u64 total_len;

SEC("tracepoint/sched/sched_process_exit")
int on_exit(struct trace_event_raw_sched_process_template *ctx)
{
	char comm[16];

	bpf_get_current_comm(comm, sizeof(comm));
	total_len += strlen(comm);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
