// expect: line=7 family=variable length array kind=clang
BPF_PERF_OUTPUT(names);

TRACEPOINT_PROBE(syscalls, sys_enter_openat)
{
    u32 len = bpf_get_prandom_u32() & 63;
    char name[len + 1];

    bpf_probe_read_user_str(name, len + 1, args->filename);
    names.perf_submit(args, name, len);
    return 0;
}
