// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
/* one program per syscall, by macro; "the } in a string" is on purpose */
#define DEFINE_MAP(NAME, TYPE, K, V, N) \
struct {                                \
	__uint(type, TYPE);             \
	__uint(max_entries, N);         \
	__type(key, K);                 \
	__type(value, V);               \
} NAME SEC(".maps")

DEFINE_MAP(counts, BPF_MAP_TYPE_ARRAY, u32, u64, 512);
DEFINE_MAP(last, BPF_MAP_TYPE_LRU_HASH, u32, u64, 512);

#define BUMP(map, k) ({                                    \
	u32 __k = (k);                                     \
	u64 *__v = bpf_map_lookup_elem(&(map), &__k);      \
	if (__v)                                           \
		__sync_fetch_and_add(__v, 1);              \
	!!__v;                                             \
})

#define SYSCALL(NAME, NR)                                  \
SEC("tp/syscalls/sys_enter_" #NAME)                        \
int enter_##NAME(struct trace_event_raw_sys_enter *ctx)    \
{                                                          \
	if (!BUMP(counts, NR))                             \
		bpf_printk("no } slot for %d", NR);        \
	return 0;                                          \
}

SYSCALL(read, 0)
SYSCALL(write, 1)
SYSCALL(close, 3)

SEC("tp/syscalls/sys_exit_close")
int exit_close(struct trace_event_raw_sys_exit *ctx)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	u64 now = bpf_ktime_get_ns();

	if (ctx->ret)
		bpf_map_update_elem(&last, &pid, &now, BPF_ANY);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
