// expect: line=4 family=too many arguments kind=clang
TRACEPOINT_PROBE(sched, sched_process_fork)
{
    bpf_trace_printk("%d -> %d at %llu by %d\n", args->parent_pid, args->child_pid, bpf_ktime_get_ns(), bpf_get_smp_processor_id());
    return 0;
}
