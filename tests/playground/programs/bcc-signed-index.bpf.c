// expect: line=15 family=signed index kind=verifier
struct table { u32 cells[256]; };
BPF_ARRAY(tables, struct table, 1);

TRACEPOINT_PROBE(syscalls, sys_exit_openat)
{
    int zero = 0;
    int fd = args->ret;
    struct table *t = tables.lookup(&zero);

    if (!t)
        return 0;
    if (fd > 255)
        return 0;
    t->cells[fd] += 1;
    return 0;
}
