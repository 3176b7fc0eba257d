// expect: line=16,5 family=wrong memory write to read only data kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

const volatile u32 target_tgid = 0;
const volatile bool quiet = false;

SEC("tracepoint/sched/sched_process_exec")
int on_exec(struct trace_event_raw_sched_process_exec *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (quiet)
		return 0;
	if (target_tgid == 0)
		bpf_probe_read_kernel((void *)&target_tgid, 4, &tgid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
