// expect: ok
#include <linux/kernel.h>
#include <linux/string.h>
#define MAX_STR 16
struct filter_t { char name[MAX_STR]; };
BPF_HASH(allowed, struct filter_t, u8, 64);
BPF_ARRAY(n, u64, 2);
static __always_inline bool starts(const char *a, const char *b, const int len)
{
	for (int i = 0; i < len && i < MAX_STR; i++)
		if (a[i] != b[i])
			return false;
	return true;
}
TRACEPOINT_PROBE(sched, sched_process_exec)
{
	struct filter_t f = {};
	int zero = 0, one = 1;
	bpf_get_current_comm(&f.name, sizeof(f.name));
	const char want[] = "gcc";
	if (starts(f.name, want, 3) || allowed.lookup(&f))
		n.increment(zero);
	else
		n.increment(one);
	return 0;
}
