/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which processes are watched, and the way records leave the kernel. Every probe asks
 * is_watched() first: a busy host that nobody watches costs user space nothing.
 */
BPF_HASH(watched, u32, u8, 65536);       /* tgid; children inherit it at fork */
BPF_HASH(watched_uids, u32, u8, 64);     /* execs of these users are reported though unwatched */
BPF_RINGBUF_OUTPUT(events, RING_PAGES);
BPF_ARRAY(lost, u64, N_LOSS_REASONS);

static inline bool is_watched(u32 tgid)
{
    return watched.lookup(&tgid) != NULL;
}

static inline void count_lost(int reason)
{
    u64 *n_lost = lost.lookup(&reason);

    if (n_lost)
        __sync_fetch_and_add(n_lost, 1);
}

static inline void fill_header(struct event_header *header, u8 kind, struct task_struct *task)
{
    struct task_struct *leader = task->group_leader;

    header->ktime_ns = bpf_ktime_get_ns();
    header->start_boottime_ns = leader->start_boottime;
    header->tgid = task->tgid;
    header->tid = task->pid;
    header->uid = task->cred->uid.val;
    header->kind = kind;
    header->pad[0] = header->pad[1] = header->pad[2] = 0;
}

/*
 * The kernel wakes the reader for a record that finds the buffer read to its end, and for no other
 * one: who then waits some milliseconds before it reads is woken once for all that came meanwhile,
 * and not at all while nothing comes.
 */
static inline void submit(void *record, u64 size)
{
    if (events.ringbuf_output(record, size, 0))
        count_lost(LOST_RING_FULL);
}
