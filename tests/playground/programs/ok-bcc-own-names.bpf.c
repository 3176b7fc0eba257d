// expect: ok
/* many names that the kernel has as well */
enum state { IDLE, READ, WRITE, NR_STATES };
typedef struct { u64 sec; u64 nsec; } timespec_t;
typedef u32 dev_t_own;
struct event { u32 pid; enum state state; u64 ts; };
struct stat { u64 n; u64 sum; };
struct key { u32 pid; u32 slot; };
struct sample { u64 a; };
union value { u64 num; char bytes[8]; };

BPF_HASH(stats, struct key, struct stat);
BPF_RINGBUF_OUTPUT(events, 4);

static inline enum state state_of(long ret) { return ret < 0 ? IDLE : ret > 4096 ? READ : WRITE; }

TRACEPOINT_PROBE(syscalls, sys_exit_read)
{
    struct key key = { .pid = bpf_get_current_pid_tgid() >> 32 };
    struct stat init = {}, *stat;
    union value v = { .num = args->ret };
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    key.slot = v.bytes[0] & 7;
    stat = stats.lookup_or_try_init(&key, &init);
    if (stat) {
        stat->n++;
        stat->sum += task->tgid;
    }
    struct event *event = events.ringbuf_reserve(sizeof(*event));
    if (!event)
        return 0;
    event->pid = key.pid;
    event->state = state_of(args->ret);
    event->ts = bpf_ktime_get_ns();
    events.ringbuf_submit(event, 0);
    return 0;
}
