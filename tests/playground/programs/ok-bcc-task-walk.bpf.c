// expect: ok
#include <linux/sched.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/fs.h>
struct rec { u32 pid; u32 depth; u32 pidns; char path[5][32]; };
BPF_PERCPU_ARRAY(heap, struct rec, 1);
BPF_PERF_OUTPUT(out);
RAW_TRACEPOINT_PROBE(sched_process_exec)
{
	u32 z = 0;
	struct rec *r = heap.lookup(&z);
	struct task_struct *t = (struct task_struct *)ctx->args[0];
	if (r == NULL)
		return 0;
	r->pid = t->tgid;
	r->pidns = t->nsproxy->pid_ns_for_children->ns.inum;
	struct dentry *d = t->fs->pwd.dentry;
#pragma unroll
	for (int i = 0; i < 5; i++) {
		bpf_probe_read_kernel_str(r->path[i], 32, (void *)d->d_name.name);
		if (d == d->d_parent) { r->depth = i; break; }
		d = d->d_parent;
	}
	out.perf_submit(ctx, r, sizeof(*r));
	return 0;
}
