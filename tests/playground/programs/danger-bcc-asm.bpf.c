// expect: line=4 family=helper in assembly kind=policy
TRACEPOINT_PROBE(syscalls, sys_enter_read)
{
    asm volatile("r1 = 9\n call 109");
    return 0;
}
