// expect: line=10 family=clang kind=clang
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 128); __type(key, u32); __type(value, u64); } m SEC(".maps");
SEC("tp/sched/sched_process_exec")
int ex(void *ctx)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	u64 one = 1;
	bpf_map_update_elem(m, &pid, &one, BPF_ANY);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
