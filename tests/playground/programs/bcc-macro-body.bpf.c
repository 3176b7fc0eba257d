// expect: line=10,21 family=plain c error inside a macro kind=clang
struct io { u64 calls; u64 bytes; };
BPF_HASH(ios, u32, struct io, 256);

#define ACCOUNT(io, ret)                              \
    do {                                              \
        u64 __ret = (ret);                            \
        if ((long)__ret > 0) {                        \
            (io)->calls++;                            \
            (io)->byte += __ret;                      \
        }                                             \
    } while (0)

TRACEPOINT_PROBE(syscalls, sys_exit_read)
{
    u32 pid = bpf_get_current_pid_tgid() >> 32;
    struct io zero = {}, *io;

    io = ios.lookup_or_try_init(&pid, &zero);
    if (io)
        ACCOUNT(io, args->ret);
    return 0;
}
