// expect: line=13,5 family=dangerous signal behind a macro kind=policy
BPF_HASH(banned, u32, u8);

#define JOIN(a, b) a##b
#define ACT(what) JOIN(bpf_send_, what)
#define SIGKILL_ 9

RAW_TRACEPOINT_PROBE(sched_process_exec)
{
    u32 uid = bpf_get_current_uid_gid();

    if (banned.lookup(&uid))
        ACT(signal)(SIGKILL_);
    return 0;
}
