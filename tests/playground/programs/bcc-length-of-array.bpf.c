// expect: line=5,6,7 family=array length kind=clang
TRACEPOINT_PROBE(syscalls, sys_enter_write)
{
    u64 n = args->count;
    char copy[n];
    bpf_probe_read_user(copy, n, args->buf);
    bpf_trace_printk("%s\n", copy);
    return 0;
}
