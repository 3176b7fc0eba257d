// expect: line=3 family=plain c missing include kind=clang
#include <linux/sched.h>
#include <linux/sched_tracing.h>

BPF_HASH(h, u32, u64);

RAW_TRACEPOINT_PROBE(sched_wakeup_new)
{
    h.increment(0);
    return 0;
}
