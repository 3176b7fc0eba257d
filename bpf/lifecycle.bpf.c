/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Birth, program and death of watched processes.
 *
 * Raw tracepoints: they need neither tracefs nor kprobes, hand over the task_struct itself
 * (the records of the classic tracepoints change their layout between kernels), and two
 * capabilities (BPF, PERFMON) suffice to attach them.
 */
BPF_PERCPU_ARRAY(exec_scratch, struct exec_event, 1);

/* sched_process_fork(struct task_struct *parent, struct task_struct *child) */
RAW_TRACEPOINT_PROBE(sched_process_fork)
{
    struct task_struct *child = (struct task_struct *)ctx->args[1];
    struct task_struct *parent;
    struct fork_event event = {};
    u32 child_tgid = child->tgid;
    u32 parent_tgid;
    u8 yes = 1;

    if (child->pid != child_tgid)
        return 0;                         /* a thread */
    /* real_parent, not the caller: CLONE_PARENT makes a sibling. */
    parent = child->real_parent;
    parent_tgid = parent->tgid;
    if (!is_watched(parent_tgid) && !is_watched(bpf_get_current_pid_tgid() >> 32))
        return 0;
    if (watched.update(&child_tgid, &yes))
        count_lost(LOST_SCOPE_FULL);

    fill_header(&event.header, EVENT_FORK, child);
    event.parent_tgid = parent_tgid;
    event.parent_start_boottime_ns = parent->group_leader->start_boottime;
    bpf_probe_read_kernel(&event.comm, sizeof(event.comm), child->comm);
    submit(&event, sizeof(event));
    return 0;
}

/* sched_process_exec(struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm) */
RAW_TRACEPOINT_PROBE(sched_process_exec)
{
    struct task_struct *task = (struct task_struct *)ctx->args[0];
    struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
    struct exec_event *event;
    struct task_struct *parent;
    u64 arg_start, arg_end, argv_len;
    u32 tgid = task->tgid;
    u32 uid = task->cred->uid.val;
    int zero = 0;
    bool watched_process = is_watched(tgid);

    if (!watched_process && !watched_uids.lookup(&uid))
        return 0;
    event = exec_scratch.lookup(&zero);
    if (!event)
        return 0;

    fill_header(&event->header, EVENT_EXEC, task);
    parent = task->real_parent;
    event->parent_tgid = parent->tgid;
    event->parent_start_boottime_ns = parent->group_leader->start_boottime;
    event->is_watched = watched_process;
    bpf_probe_read_kernel(&event->comm, sizeof(event->comm), task->comm);
    bpf_probe_read_kernel_str(&event->filename, sizeof(event->filename), bprm->filename);

    arg_start = task->mm->arg_start;
    arg_end = task->mm->arg_end;
    argv_len = arg_end - arg_start;
    event->argv_total_len = argv_len;
    if (argv_len > ARGV_LEN - 1)
        argv_len = ARGV_LEN - 1;
    argv_len &= ARGV_LEN - 1;             /* what the verifier needs to see the bound */
    if (bpf_probe_read_user(&event->argv, argv_len, (void *)arg_start))
        argv_len = 0;
    event->argv_len = argv_len;
    submit(event, offsetof(struct exec_event, argv) + (argv_len & (ARGV_LEN - 1)));
    return 0;
}

/*
 * sched_process_exit(struct task_struct *task): once for every thread. do_exit() has already
 * counted this thread out of signal->live, so 0 means that the process is over; of two last
 * threads that race here, the first removes the process from the scope and reports it.
 */
RAW_TRACEPOINT_PROBE(sched_process_exit)
{
    struct task_struct *task = (struct task_struct *)ctx->args[0];
    struct signal_struct *signal = task->signal;
    struct exit_event event = {};
    u32 tgid = task->tgid;

    if (!is_watched(tgid) || signal->live.counter > 0)
        return 0;
    watched.delete(&tgid);

    fill_header(&event.header, EVENT_EXIT, task);
    /* SIGNAL_GROUP_EXIT: exit_group(2) or a fatal signal; else the last thread's own code. */
    event.wait_status = (signal->flags & 0x4) ? signal->group_exit_code : task->exit_code;
    bpf_probe_read_kernel(&event.comm, sizeof(event.comm), task->comm);
    submit(&event, sizeof(event));
    return 0;
}
