// expect: line=4 family=unknown tracepoint kind=attach
BPF_HISTOGRAM(latency);

TRACEPOINT_PROBE(block, block_request_done)
{
    latency.increment(bpf_log2l(bpf_ktime_get_ns()));
    return 0;
}
