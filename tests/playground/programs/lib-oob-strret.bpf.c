// expect: line=29 family=bounds result of a string helper as index kind=verifier
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct path_buf {
	char text[128];
	int len;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct path_buf);
} scratch SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_openat")
int on_openat(struct trace_event_raw_sys_enter *ctx)
{
	u32 zero = 0;
	struct path_buf *p = bpf_map_lookup_elem(&scratch, &zero);
	long n;

	if (!p)
		return 0;
	n = bpf_probe_read_user_str(p->text, sizeof(p->text), (void *)ctx->args[1]);
	p->len = n;
	/* cut the trailing NUL off */
	p->text[n - 1] = '/';
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
