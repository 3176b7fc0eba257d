#define RUNNER 0 /* the check puts a process id here */
#define IS_RUNNER (bpf_get_current_pid_tgid() >> 32 == RUNNER)

struct table_t {
    u64 n[16];
};
struct text_t {
    char bytes[16];
};
struct call_t {
    u32 pid;
};

BPF_HASH(syncs, u32, u64);             /* 1: how often fsync() was called with that number */
BPF_ARRAY(masks, struct table_t, 1);  /* 2: how often umask() was, with masks below 16 */
BPF_RINGBUF_OUTPUT(asked, 8);         /* 3: pids that getpgid() was asked for, but not 0 */
BPF_ARRAY(written, struct text_t, 1); /* 4: the first bytes of what pwrite() wrote */
BPF_ARRAY(depth, u32, 1);             /* 5: how many ancestors below pid 1 who calls getsid() has */
BPF_ARRAY(last_path, struct text_t, 1); /* 6: the path that was executed last */

/* 1. An entry that may not be there. */
TRACEPOINT_PROBE(syscalls, sys_enter_fsync)
{
    u32 number = args->fd;
    u64 *count;

    if (!IS_RUNNER)
        return 0;
    count = syncs.lookup(&number);
    if (count)
        *count += 1;
    else
        syncs.increment(number);
    return 0;
}

/* 2. An index that may be anything. */
TRACEPOINT_PROBE(syscalls, sys_enter_umask)
{
    int zero = 0;
    u64 mask = args->mask;
    struct table_t *table;

    if (!IS_RUNNER)
        return 0;
    table = masks.lookup(&zero);
    if (table && mask < 16)
        table->n[mask] += 1;
    return 0;
}

/* 3. A record that is taken and not given back. */
TRACEPOINT_PROBE(syscalls, sys_enter_getpgid)
{
    struct call_t *call;

    if (!IS_RUNNER)
        return 0;
    call = asked.ringbuf_reserve(sizeof(struct call_t));
    if (!call)
        return 0;
    call->pid = args->pid;
    if (!args->pid) {
        asked.ringbuf_discard(call, 0);
        return 0;
    }
    asked.ringbuf_submit(call, 0);
    return 0;
}

/* 4. A size that may be anything. */
TRACEPOINT_PROBE(syscalls, sys_enter_pwrite64)
{
    int zero = 0;
    struct text_t *text;
    u64 size = args->count;

    if (!IS_RUNNER)
        return 0;
    if (size > sizeof(text->bytes))
        size = sizeof(text->bytes);
    text = written.lookup(&zero);
    if (text)
        bpf_probe_read_user(text->bytes, size, args->buf);
    return 0;
}

/* 5. A loop that may never end. */
TRACEPOINT_PROBE(syscalls, sys_enter_getsid)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    int zero = 0;
    u32 *n_ancestors;

    if (args->pid != RUNNER)
        return 0;
    n_ancestors = depth.lookup(&zero);
    if (!n_ancestors)
        return 0;
    for (int i = 0; i < 2; i++) {
        if (task->tgid <= 1)
            break;
        task = task->real_parent;
        if (!task)
            break;
        *n_ancestors += 1;
    }
    return 0;
}

/* 6. Text behind the record, at an offset that is known only when it runs. */
TRACEPOINT_PROBE(sched, sched_process_exec)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    int zero = 0;
    struct text_t *text;
    char *path = (char *)args + (args->data_loc_filename & 0xffff);

    if (task->real_parent->tgid != RUNNER)
        return 0;
    text = last_path.lookup(&zero);
    if (text)
        bpf_probe_read_kernel_str(text->bytes, sizeof(text->bytes), path);
    return 0;
}
