// expect: line=13 family=libc memcpy variable length kind=clang
struct blob { u32 len; char data[64]; };
BPF_HASH(blobs, u32, struct blob);

TRACEPOINT_PROBE(syscalls, sys_enter_write)
{
    struct blob b = {}, *old;
    u32 tid = bpf_get_current_pid_tgid();

    b.len = args->count & 63;
    old = blobs.lookup(&tid);
    if (old)
        __builtin_memcpy(b.data, old->data, b.len);
    blobs.update(&tid, &b);
    return 0;
}
