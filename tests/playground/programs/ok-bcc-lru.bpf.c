// expect: ok
/*	Tabs, and a CRLF-free file. Locks, by address { hashed }. */
BPF_TABLE("lru_hash", u64, u64, last_seen, 4096);
BPF_TABLE("percpu_array", u32, u64, stats, 4);

enum { HIT, MISS, STALE, BROKEN };

#ifdef DEBUG_THIS
#	define NOTE(text) bpf_trace_printk("{" text "}\n")
#else
#	define NOTE(text) do { } while (0)
#endif

static inline void bump(u32 what)
{
	u64 *v = stats.lookup(&what);

	/* the other way round */
	if (v)
		;
	else
		return;
	*v += 1;
}

TRACEPOINT_PROBE(syscalls, sys_enter_futex)
{
	u64 address = (u64)args->uaddr;
	u64 now = bpf_ktime_get_ns();
	u64 *before = last_seen.lookup(&address);

	if (address == 0) {
		bump(BROKEN);
		return 0;
	}
	if (!before) {
		NOTE("miss");
		bump(MISS);
	} else if (now - *before > 1000000000ULL) {
		NOTE("stale");
		bump(STALE);
	} else {
		bump(HIT);
	}
	last_seen.update(&address, &now);
	return 0;
}
