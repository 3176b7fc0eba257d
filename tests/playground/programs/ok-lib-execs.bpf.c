// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define FILE_LEN 128

struct exec_event {
	struct {
		u32 pid;
		u32 ppid;
		u32 uid;
	} who;
	char file[FILE_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} execs SEC(".maps");

const volatile u32 only_uid = -1; /* { -1: all } */
u64 n_lost;

SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	struct exec_event *e;
	u32 uid = (u32)bpf_get_current_uid_gid();

	if (only_uid != (u32)-1 && uid != only_uid)
		return 0;
	if (!(e = bpf_ringbuf_reserve(&execs, sizeof(*e), 0))) {
		__sync_fetch_and_add(&n_lost, 1);
		return 0;
	}
	e->who.uid = uid;
	e->who.pid = BPF_CORE_READ(task, tgid);
	e->who.ppid = BPF_CORE_READ(task, real_parent, tgid);
	e->file[0] = '\0';
	bpf_probe_read_kernel_str(e->file, sizeof(e->file), BPF_CORE_READ(bprm, filename));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
