// expect: ok
#include <uapi/linux/ptrace.h>
#include <linux/sched.h>

struct val_t { u32 pid; int sig; int tpid; char comm[TASK_COMM_LEN]; };
struct data_t { u32 pid; int tpid; int sig; int ret; char comm[TASK_COMM_LEN]; };

BPF_HASH(infotmp, u32, struct val_t);
BPF_PERF_OUTPUT(events);

TRACEPOINT_PROBE(syscalls, sys_enter_kill)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct val_t val = {.pid = bpf_get_current_pid_tgid() >> 32};
	if (args->sig == SIGCHLD) { return 0; }
	if (bpf_get_current_comm(&val.comm, sizeof(val.comm)) == 0) {
		val.tpid = args->pid;
		val.sig = args->sig;
		infotmp.update(&tid, &val);
	}
	return 0;
};

TRACEPOINT_PROBE(syscalls, sys_exit_kill)
{
	struct data_t data = {};
	struct val_t *valp;
	u32 tid = bpf_get_current_pid_tgid();

	valp = infotmp.lookup(&tid);
	if (!valp)
		return 0;
	__builtin_memcpy(&data.comm, valp->comm, sizeof(data.comm));
	data.pid = valp->pid;
	data.tpid = valp->tpid;
	data.ret = args->ret;
	data.sig = valp->sig;
	if (data.ret == -ESRCH || data.ret == 0)
		events.perf_submit(args, &data, sizeof(data));
	infotmp.delete(&tid);
	return 0;
}
