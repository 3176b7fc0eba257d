// expect: line=12 family=wrong map for helper kind=clang
BPF_HASH(by_cpu, u32, u64);
BPF_RINGBUF_OUTPUT(log_of_cpus, 8);

RAW_TRACEPOINT_PROBE(sched_switch)
{
    u32 cpu = bpf_get_smp_processor_id();

    if (cpu > 3)
        return 0;
    by_cpu.increment(cpu);
    log_of_cpus.increment(cpu);
    return 0;
}
