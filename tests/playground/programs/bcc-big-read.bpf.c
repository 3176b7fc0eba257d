// expect: line=16,19,18 family=bounds helper writes more than the map value holds kind=verifier
struct name_of {
    char file[32];
    u32 flags;
};
BPF_HASH(open_files, u64, struct name_of);

TRACEPOINT_PROBE(syscalls, sys_enter_openat)
{
    u64 id = bpf_get_current_pid_tgid();
    struct name_of zero = {}, *entry;

    entry = open_files.lookup_or_try_init(&id, &zero);
    if (entry) {
        entry->flags = args->flags;
        bpf_probe_read_user_str(
            entry->file,
            64,
            args->filename);
    }
    return 0;
}
