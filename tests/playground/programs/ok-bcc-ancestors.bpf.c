// expect: ok
#define MAX_DEPTH 12

struct line {
    u32 depth;
    u32 pid[MAX_DEPTH];
};

BPF_PERCPU_ARRAY(scratch, struct line, 1);
BPF_HASH(lines, u32, struct line, 512);

/* The ancestors of who runs a new program, at most MAX_DEPTH of them {bounded}. */
RAW_TRACEPOINT_PROBE(sched_process_exec)
{
    struct task_struct *t = (struct task_struct *)ctx->args[0];
    u32 me = t->tgid;
    int zero = 0;
    struct line *l = scratch.lookup(&zero);

    do {
        if (!l)
            break;
        l->depth = 0;
        for (int i = 0; i < MAX_DEPTH; i++) {
            u32 pid;

            t = t->real_parent;
            pid = t->tgid;
            l->pid[i] = pid;
            if (pid <= 1)
                break;
            l->depth = i + 1;
        }
        lines.update(&me, l);
    } while (0);
    return 0;
}
