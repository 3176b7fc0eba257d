// expect: line=25 family=wrong helper argument record with an offset kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct header { u64 ts; u32 kind; u32 cpu; };
struct packet { struct header h; u64 payload; };

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} packets SEC(".maps");

SEC("tp/sched/sched_migrate_task")
int migrate(struct trace_event_raw_sched_migrate_task *ctx)
{
	struct packet *p;

	p = bpf_ringbuf_reserve(&packets, sizeof(struct packet), 0);
	if (!p)
		return 0;
	p->h.ts = bpf_ktime_get_ns();
	p->h.kind = 3;
	p->h.cpu = ctx->dest_cpu;
	p->payload = ctx->orig_cpu;
	bpf_ringbuf_submit(&p->payload, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
