// expect: ok
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define WINDOW 32

struct window {
	u32 at;
	u64 delta[WINDOW];
	u64 last;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct window);
} windows SEC(".maps");

struct sum { struct window *w; u64 total; u64 max; };

static long add_one(u32 i, struct sum *s)
{
	u64 d;

	if (i >= WINDOW)
		return 1; /* stops: { never } */
	d = s->w->delta[i];
	s->total += d;
	s->max = d > s->max ? d : s->max;
	return 0;
}

u64 mean_ns, max_ns;

SEC("perf_event")
int on_tick(struct bpf_perf_event_data *ctx)
{
	u64 now = bpf_ktime_get_ns();
	struct sum s = {};
	u32 zero = 0;

	s.w = bpf_map_lookup_elem(&windows, &zero);
	if (!s.w)
		return 0;
	s.w->delta[s.w->at++ % WINDOW] = now - s.w->last;
	s.w->last = now;
	bpf_loop(WINDOW, add_one, &s, 0);
	mean_ns = s.total / WINDOW;
	max_ns = s.max;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
