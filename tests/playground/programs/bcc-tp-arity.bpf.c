// expect: line=4 family=wrong arity of a macro kind=clang
BPF_HASH(waits, u32, u64);

TRACEPOINT_PROBE(sched_switch)
{
    u32 cpu = bpf_get_smp_processor_id();

    waits.increment(cpu);
    return 0;
}
