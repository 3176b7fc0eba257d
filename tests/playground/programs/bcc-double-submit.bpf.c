// expect: line=12 family=double submit kind=verifier
BPF_RINGBUF_OUTPUT(rb, 8);

RAW_TRACEPOINT_PROBE(sys_enter)
{
    u64 *rec = rb.ringbuf_reserve(8);
    if (rec == NULL)
        return 0;
    *rec = ctx->args[1];
    if (*rec == 59)
        rb.ringbuf_submit(rec, BPF_RB_FORCE_WAKEUP);
    rb.ringbuf_discard(rec, 0);
    return 0;
}
