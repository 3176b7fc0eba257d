// expect: line=4,9 family=program kind kind=policy
#include <uapi/linux/bpf.h>
BPF_ARRAY(packets, u64, 1);
int xdp_count(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data;
    int zero = 0;
    u64 *n = packets.lookup(&zero);
    if (n && data + 14 <= (void *)(long)ctx->data_end)
        (*n)++;
    return 2; // XDP_PASS
}
