/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Evidence about suspects: their system calls by number and result, and the paths that those
 * were given: who asks for the same file again and again waits for it, who asks for ever others
 * gets on. Attached only while there is a suspect: on the path of every system call of the
 * machine it costs 0.24 us each.
 */
BPF_HASH(suspects, u32, u8, 64);
BPF_HASH(syscall_counts, struct syscall_key, struct syscall_counts, 4096);
BPF_HASH(path_counts, struct path_key, u64, 2048);

/* The path among the arguments of a system call, NULL for those without. User registers are
 * still as they were at its entry, except for those that the call itself returns in. */
static inline const char *path_argument(struct pt_regs *regs, u32 syscall)
{
#if defined(__x86_64__)
    switch (syscall) {
    case 2: case 4: case 6: case 21: case 80: case 82: case 83: case 84: case 87: case 89:
        /* open stat lstat access chdir rename mkdir rmdir unlink readlink */
        return (const char *)regs->di;
    case 257: case 258: case 262: case 263: case 267: case 269: case 332: case 437: case 439:
        /* openat mkdirat newfstatat unlinkat readlinkat faccessat statx openat2 faccessat2 */
        return (const char *)regs->si;
    }
#elif defined(__aarch64__)
    switch (syscall) {
    case 34: case 35: case 48: case 56: case 78: case 79: case 291: case 437: case 439:
        /* mkdirat unlinkat faccessat openat readlinkat newfstatat statx openat2 faccessat2 */
        return (const char *)regs->regs[1];
    }
#endif
    return NULL;
}

static inline void count_path(u32 tgid, u32 syscall, const char *path)
{
    struct path_key key = {};
    u64 zero = 0, *count;

    key.tgid = tgid;
    key.syscall = syscall;
    if (bpf_probe_read_user_str(key.path, sizeof(key.path), path) == sizeof(key.path))
        __builtin_memset(key.path, 0, sizeof(key.path));
    count = path_counts.lookup_or_try_init(&key, &zero);
    if (count)
        __sync_fetch_and_add(count, 1);
}

/* sys_exit(struct pt_regs *regs, long result) */
int on_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
    struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
    long result = ctx->args[1];
    struct syscall_key key = {};
    struct syscall_counts zero = {}, *counts;
    const char *path;

    key.tgid = bpf_get_current_pid_tgid() >> 32;
    if (!suspects.lookup(&key.tgid))
        return 0;
#if defined(__x86_64__)
    key.syscall = regs->orig_ax;
#elif defined(__aarch64__)
    key.syscall = regs->syscallno;
#endif
    /* Back from a signal handler: that call's number has made room for those before the signal. */
    if ((int)key.syscall < 0)
        return 0;
    counts = syscall_counts.lookup_or_try_init(&key, &zero);
    if (!counts)
        return 0;
    __sync_fetch_and_add(&counts->n_calls, 1);
    if (result < 0 && result >= -4095)
        __sync_fetch_and_add(&counts->n_errors, 1);
    else if (result == 0)
        __sync_fetch_and_add(&counts->n_zero, 1);
    else
        __sync_fetch_and_add(&counts->total_result, result);
    path = path_argument(regs, key.syscall);
    if (path)
        count_path(key.tgid, key.syscall, path);
    return 0;
}
