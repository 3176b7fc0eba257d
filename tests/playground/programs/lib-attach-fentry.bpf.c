// expect: line=14 family=fentry not available kind=attach
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

u64 reads;

SEC("raw_tp/sys_exit")
int fine(void *ctx)
{
	return 0;
}

SEC("fentry/vfs_read")
int BPF_PROG(on_vfs_read, struct file *file, char *buf, size_t count)
{
	reads += count;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
