// expect: line=9 family=stack-limit kind=clang
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
int n;
SEC("tp/syscalls/sys_enter_write")
int wr(struct trace_event_raw_sys_enter *ctx)
{
	int r;
	char line[1024];

	r = bpf_probe_read_user_str(line, sizeof(line), (void *)ctx->args[1]);
	if (r > 3 && line[0] == 'x')
		n++;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
