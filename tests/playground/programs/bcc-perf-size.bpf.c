// expect: line=13,11 family=wrong helper argument unbounded size kind=verifier
BPF_PERF_OUTPUT(payloads);

TRACEPOINT_PROBE(syscalls, sys_exit_recvfrom)
{
    char buf[128] = {};
    long n = args->ret;

    if (n <= 0)
        return 0;
    payloads.perf_submit(args,
                         buf,
                         n);
    return 0;
}
