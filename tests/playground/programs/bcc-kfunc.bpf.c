// expect: line=3 family=fentry kind=attach
BPF_HASH(m, u32, u64);
KFUNC_PROBE(vfs_open, const struct path *path, struct file *file)
{
    u32 pid = bpf_get_current_pid_tgid();
    u64 one = 1;
    m.update(&pid, &one);
    return 0;
}
