// expect: line=6,11 family=function pointer in a local kind=policy
typedef long (*fn)(void *, const void *, u32);
static inline long put(void *d, const void *s, u32 n)
{
    fn f = (fn)(unsigned long)0x24;
    return f(d, s, n);
}
TRACEPOINT_PROBE(syscalls, sys_enter_read)
{
    u64 zero = 0;
    return put((void *)args->buf, &zero, 8);
}
