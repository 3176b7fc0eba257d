// expect: ok
/* Sizes of reads and writes by file descriptor class */
enum fd_class { FD_STD = 0, FD_LOW, FD_HIGH, N_CLASSES };

struct size_hist {
    u64 n[N_CLASSES][16];
};
BPF_HASH(hists, u32, struct size_hist, 256);

#define CLASS_OF(fd)                     \
    ({                                   \
        u32 __fd = (fd);                 \
        __fd < 3    ? FD_STD             \
        : __fd < 64 ? FD_LOW             \
                    : FD_HIGH;           \
    })

static inline u32 slot_of(u64 bytes)
{
    u32 slot = bpf_log2l(bytes);

    return slot > 15 ? 15 : slot;
}

static inline int account(u32 fd, u64 bytes)
{
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    u32 class = CLASS_OF(fd), slot = slot_of(bytes);
    struct size_hist *h = hists.lookup(&tgid);

    if (h == 0) {
        struct size_hist empty = {};

        hists.update(&tgid, &empty);
        h = hists.lookup(&tgid);
    }
    return h ? (h->n[class][slot]++, 1) : 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_read)
{
    account(args->fd, args->count);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_write)
{
    account(args->fd, args->count);
    return 0;
}
