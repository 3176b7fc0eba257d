// expect: line=8 family=dangerous lsm kind=policy
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define EPERM 1

SEC("lsm/file_open")
int BPF_PROG(no_file, struct file *file)
{
	u32 uid = bpf_get_current_uid_gid();

	return uid == 1000 ? -EPERM : 0;
}

char LICENSE[] SEC("license") = "GPL";
