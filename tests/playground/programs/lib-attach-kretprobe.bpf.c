// expect: line=8 family=kretprobe not available kind=attach
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

u64 failures;

SEC("kretprobe/do_sys_openat2")
int BPF_KRETPROBE(on_open_done, long ret)
{
	if (ret < 0)
		__sync_fetch_and_add(&failures, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
