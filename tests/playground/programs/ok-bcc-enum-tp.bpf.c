// expect: ok
/* fields of types that no source names */
struct why_t { u32 reason; u64 dev; };
BPF_HASH(whys, struct why_t, u64);
TRACEPOINT_PROBE(block, block_rq_issue)
{
	struct why_t w = {};
	w.dev = args->dev;
	w.reason = args->nr_sector;
	whys.increment(w);
	return 0;
}
TRACEPOINT_PROBE(kmem, mm_page_alloc) { struct why_t w = { .reason = args->order }; whys.increment(w); return 0; }
TRACEPOINT_PROBE(irq, softirq_entry) { struct why_t w = { .reason = args->vec }; whys.increment(w); return 0; }
TRACEPOINT_PROBE(signal, signal_generate) { struct why_t w = { .reason = args->sig }; whys.increment(w); return 0; }
