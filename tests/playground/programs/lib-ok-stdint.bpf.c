// expect: ok
#include <linux/bpf.h>
#include <linux/version.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bpf/bpf_helpers.h>
typedef uint64_t u64_t;
typedef struct rec_s { uint32_t pid; uint8_t flags; bool on; u64_t at[4]; } rec_t;
typedef enum { KIND_A = 1, KIND_B } kind_t;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, uint32_t); __type(value, rec_t); __uint(pinning, LIBBPF_PIN_NONE); } recs SEC(".maps");
static inline __attribute__((always_inline)) kind_t kind_of(const rec_t *r)
{
	return r->at[KIND_A] > r->at[KIND_B] ? KIND_A : KIND_B;
}
SEC("tp/syscalls/sys_exit_openat")
int opened(void *ctx)
{
	uint32_t pid = bpf_get_current_pid_tgid() >> 32;
	rec_t fresh = { .pid = pid, .on = true }, *r;

	r = bpf_map_lookup_elem(&recs, &pid);
	if (!r)
		goto add;
	if (kind_of(r) == KIND_B)
		r->flags |= 1U << 3;
	r->at[(r->flags >> 3) & 3] = bpf_ktime_get_ns();
	return 0;
add:
	bpf_map_update_elem(&recs, &pid, &fresh, BPF_NOEXIST);
	return 0;
}
char _license[] SEC("license") = "GPL";
