// expect: line=10 family=struct that is not there kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
struct frobnicator { int level; } __attribute__((preserve_access_index));
SEC("raw_tp/sched_process_exec")
int t(struct bpf_raw_tracepoint_args *ctx)
{
	struct frobnicator *f = (void *)ctx->args[0];
	return BPF_CORE_READ(f, level);
}
char LICENSE[] SEC("license") = "GPL";
