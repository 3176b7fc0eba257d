// expect: ok
struct moves {
    u32 n;
    u32 from[4];
    u32 to[4];
};
BPF_HASH(moves_of, u32, struct moves, 2048);
BPF_HASH(n_total, u32, u64, 1);

/* keeps the last four: n & 3 is the slot */
TRACEPOINT_PROBE(sched, sched_migrate_task)
{
    u32 pid = args->pid, all = 0;
    struct moves first = { .n = 1 }, *m;

    n_total.atomic_increment(all);
    first.from[0] = args->orig_cpu;
    first.to[0] = args->dest_cpu;
    m = moves_of.lookup(&pid);
    if (m != NULL && m->n > 0) {
        u32 slot = m->n & 3;

        m->from[slot] = args->orig_cpu;
        m->to[slot] = args->dest_cpu;
        m->n++;
    } else {
        moves_of.update(&pid, &first);
    }
    return 0;
}

/* forget the dead */
TRACEPOINT_PROBE(sched, sched_process_free)
{
    u32 pid = args->pid;

    moves_of.delete(&pid);
    return 0;
}
