// expect: line=9 family=dereferencing a number kind=verifier
BPF_HASH(peeks, u64, u64);

#define JIFFIES_ADDR 0xffffffff82a07980ULL

RAW_TRACEPOINT_PROBE(sched_switch)
{
    u64 key = 1;
    u64 now = *(u64 *)JIFFIES_ADDR;

    peeks.update(&key, &now);
    return 0;
}
