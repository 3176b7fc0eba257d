// expect: line=9 family=dangerous override of a return value kind=policy
BPF_HASH(victims, u32, u8);

int kprobe__should_failslab(struct pt_regs *ctx)
{
    u32 tgid = bpf_get_current_pid_tgid() >> 32;

    if (victims.lookup(&tgid) != NULL)
        bpf_override_return(ctx, (unsigned long)-12);
    return 0;
}
