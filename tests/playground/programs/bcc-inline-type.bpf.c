// expect: line=6 family=plain c unknown type in an own inline function kind=clang
BPF_HASH(uids, u32, u64);

static inline u32 current_uid(void)
{
    uid32_t uid = bpf_get_current_uid_gid();
    return uid;
}

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 uid = current_uid();

    uids.increment(uid);
    return 0;
}
