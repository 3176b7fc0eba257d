// expect: line=8 family=kprobe not available kind=attach
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

u64 unlinks;

SEC("kprobe/do_unlinkat")
int BPF_KPROBE(on_unlink, int dfd, struct filename *name)
{
	unlinks++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
