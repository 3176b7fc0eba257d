// expect: line=33,32 family=off by one, GNU style kind=verifier
#define NSLOTS 32

struct
hist_t
{
  u64 slots[NSLOTS];
};

BPF_HASH (hists, u32, struct hist_t);

static u32
slot_of (u64 value)
{
  u32 i = 0;
  while (value > 1 && i < 63)
    {
      value >>= 1;
      i++;
    }
  return i;
}

TRACEPOINT_PROBE (syscalls, sys_exit_read)
{
  u32 tgid = bpf_get_current_pid_tgid () >> 32;
  struct hist_t zero = {};
  struct hist_t *h = hists.lookup_or_try_init (&tgid, &zero);
  if (!h)
    return 0;
  u32 slot = slot_of (args->ret);
  if (slot <= NSLOTS)
    h->slots[slot]++;
  return 0;
}
