// expect: line=11,5 family=stack over 512 bytes kind=clang
struct path_event {
    u32 pid;
    char path[256];
    char old_path[256];
};
BPF_PERF_OUTPUT(renames);

TRACEPOINT_PROBE(syscalls, sys_enter_renameat2)
{
    struct path_event ev = {};

    ev.pid = bpf_get_current_pid_tgid() >> 32;
    bpf_probe_read_user_str(ev.path, sizeof(ev.path), args->newname);
    bpf_probe_read_user_str(ev.old_path, sizeof(ev.old_path), args->oldname);
    renames.perf_submit(args, &ev, sizeof(ev));
    return 0;
}
