// expect: line=22 family=dangerous write to user memory kind=policy
struct utsname_like { char sysname[65]; };
BPF_HASH(targets, u32, u64);

TRACEPOINT_PROBE(syscalls, sys_enter_newuname)
{
    u64 address = (u64)args->name;
    u32 tid = bpf_get_current_pid_tgid();

    targets.update(&tid, &address);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_exit_newuname)
{
    u32 tid = bpf_get_current_pid_tgid();
    u64 *address = targets.lookup(&tid);
    char fake[] = "Minix";

    if (!address)
        return 0;
    bpf_probe_write_user((void *)*address, fake, sizeof(fake));
    targets.delete(&tid);
    return 0;
}
