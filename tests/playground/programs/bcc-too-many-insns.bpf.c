// expect: line=13,14 family=too many instructions nested loops kind=verifier
struct grid { u32 cell[64]; };
BPF_ARRAY(grids, struct grid, 1);

int on_clock(struct bpf_perf_event_data *ctx)
{
    int zero = 0;
    struct grid *g = grids.lookup(&zero);
    u32 x, y;

    if (!g)
        return 0;
    for (x = 0; x < 4096; x++) {
        for (y = 0; y < 4096; y++)
            g->cell[(x * y + x) & 63] += bpf_get_prandom_u32() & 1;
    }
    return 0;
}
