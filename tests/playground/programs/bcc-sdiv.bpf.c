// expect: line=12 family=signed division kind=clang
BPF_HASH(avg, u32, s64);

TRACEPOINT_PROBE(syscalls, sys_exit_write)
{
    s64 per_call, *old;
    u32 tid = bpf_get_current_pid_tgid();

    old = avg.lookup(&tid);
    if (!old)
        return 0;
    per_call = (*old + args->ret) / (s64)(tid | 3);
    avg.update(&tid, &per_call);
    return 0;
}
