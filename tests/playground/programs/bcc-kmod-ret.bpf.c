// expect: line=2 family=programs that change what the kernel does kind=policy
KMOD_RET(__x64_sys_mkdir, struct pt_regs *regs, int ret)
{
    return -1;
}
