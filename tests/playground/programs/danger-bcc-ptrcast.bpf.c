// expect: line=4 family=raw pointer call kind=policy
TRACEPOINT_PROBE(syscalls, sys_enter_kill)
{
    ((long (*)(u32))(void *)109)(19);
    return 0;
}
