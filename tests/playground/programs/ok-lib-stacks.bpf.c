// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define MAX_STACK 127

struct stack_key {
	u32 tgid;
	s32 user;
	s32 kernel;
};

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 4096);
	__uint(key_size, sizeof(u32));
	__uint(value_size, MAX_STACK * sizeof(u64));
} traces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct stack_key);
	__type(value, u64);
} samples SEC(".maps");

#define ADD_OR_SET(map, key_ptr, by)                                  \
	do {                                                          \
		u64 __by = (by);                                      \
		u64 *__old = bpf_map_lookup_elem(&(map), (key_ptr));  \
		if (__old)                                            \
			*__old += __by;                               \
		else                                                  \
			bpf_map_update_elem(&(map), (key_ptr), &__by, \
					    BPF_NOEXIST);             \
	} while (0)

SEC("perf_event")
int on_sample(struct bpf_perf_event_data *ctx)
{
	struct stack_key k = { .tgid = bpf_get_current_pid_tgid() >> 32 };

	if (!k.tgid)
		return 0;
	k.user = bpf_get_stackid(ctx, &traces, BPF_F_USER_STACK);
	k.kernel = bpf_get_stackid(ctx, &traces, 0);
	if (k.user < 0 && k.kernel < 0)
		return 0;
	ADD_OR_SET(samples, &k, ctx->sample_period);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
