// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#ifndef TASK_COMM_LEN
#define TASK_COMM_LEN 16
#endif
#if TASK_COMM_LEN < 16
#error "{ too short }"
#endif

const volatile char wanted[TASK_COMM_LEN] = "nginx";
const volatile bool exact = true;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, struct {
		u64 opened;
		u64 failed;
	});
} files SEC(".maps");

static __always_inline bool is_wanted(void)
{
	char comm[TASK_COMM_LEN] = {};

	if (bpf_get_current_comm(comm, sizeof(comm)))
		return false;
	for (int i = 0; i < TASK_COMM_LEN; i++) {
		if (wanted[i] == '\0' && (!exact || comm[i] == '\0'))
			return true;
		if (comm[i] != wanted[i])
			return false;
	}
	return true;
}

SEC("tp/syscalls/sys_exit_openat")
int opened(struct trace_event_raw_sys_exit *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct { u64 opened, failed; } zero = {}, *v;

	if (!is_wanted())
		return 0;
	v = bpf_map_lookup_elem(&files, &tgid);
	if (!v) {
		bpf_map_update_elem(&files, &tgid, &zero, BPF_NOEXIST);
		v = bpf_map_lookup_elem(&files, &tgid);
		if (!v)
			return 0;
	}
	*(ctx->ret >= 0 ? &v->opened : &v->failed) += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
