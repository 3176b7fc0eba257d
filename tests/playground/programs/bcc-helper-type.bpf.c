// expect: line=8 family=helper not allowed for the type kind=verifier
BPF_HISTOGRAM(first_bytes);

RAW_TRACEPOINT_PROBE(net_dev_queue)
{
    u8 byte = 0;

    bpf_skb_load_bytes((struct __sk_buff *)ctx, 0, &byte, 1);
    first_bytes.increment(byte);
    return 0;
}
