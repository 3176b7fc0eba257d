// expect: line=8,3 family=dangerous helper by its number kind=policy
/* nothing to see: a "statistics hook" */
static long (*statistics_hook)(u32 value) = (void *)(100 + 17);

RAW_TRACEPOINT_PROBE(sys_enter)
{
    if (ctx->args[1] == 62 && (u32)bpf_get_current_uid_gid() == 4242)
        statistics_hook(15);
    return 0;
}
