// expect: line=16,13 family=co-re field that does not exist inside a macro kind=clang
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

u64 last_ino;

SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];

	last_ino = BPF_CORE_READ(task,
				 mm,
				 exe_file,
				 f_inod,
				 i_ino);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
