/* BCC's dialect in plain C, for a probe that runs on recorded events (`recorded_machine`). */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s8 __s8;
typedef s16 __s16;
typedef s32 __s32;
typedef s64 __s64;
typedef int pid_t;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)
#define __always_inline inline __attribute__((always_inline))
#define TASK_COMM_LEN 16
#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_EXIST 2
#define BPF_F_USER_STACK (1ULL << 8)
#define memset __builtin_memset
#define memcpy __builtin_memcpy
#define lock_xadd(pointer, value) ((void)__sync_fetch_and_add(pointer, value))
#define READ_ONCE(value) (*(const volatile typeof(value) *)&(value))
#define WRITE_ONCE(place, value) (*(volatile typeof(place) *)&(place) = (value))

/* What a recording knows of a thread. */
struct task_struct {
    int pid;
    int tgid;
    struct task_struct *real_parent;
    struct task_struct *parent;
    unsigned long nvcsw;
    char comm[TASK_COMM_LEN];
};
struct bpf_perf_event_data {
    u64 sample_period;
};
struct tracepoint__sched__sched_process_exec {
    u64 __do_not_use__;
    int data_loc_filename;
    int pid;
    int old_pid;
};
struct tracepoint__sched__sched_process_fork {
    u64 __do_not_use__;
    int parent_pid;
    int child_pid;
};
struct tracepoint__sched__sched_process_exit {
    u64 __do_not_use__;
    char comm[16];
    int pid;
    int prio;
};
struct tracepoint__syscalls__sys_enter_fsync {
    u64 __do_not_use__;
    u64 fd;
};
struct tracepoint__syscalls__sys_enter_getppid {
    u64 __do_not_use__;
};

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static long (*bpf_probe_read)(void *to, u32 size, const void *from) = (void *)4;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_trace_printk)(const char *format, ...) = (void *)6;
static u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
static u64 (*bpf_get_current_pid_tgid)(void) = (void *)14;
static u64 (*bpf_get_current_uid_gid)(void) = (void *)15;
static long (*bpf_get_current_comm)(void *to, u32 size) = (void *)16;
static long (*linnix_perf_output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;
static u64 (*bpf_get_current_task)(void) = (void *)35;
static long (*bpf_probe_read_str)(void *to, u32 size, const void *from) = (void *)45;
static long (*bpf_probe_read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*bpf_probe_read_user_str)(void *to, u32 size, const void *from) = (void *)114;
static long (*bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static u64 (*bpf_ktime_get_boot_ns)(void) = (void *)125;
static long (*linnix_ringbuf_output)(void *map, void *data, u64 size, u64 flags) = (void *)130;
static void *(*linnix_ringbuf_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*linnix_ringbuf_submit)(void *data, u64 flags) = (void *)132;
static void (*linnix_ringbuf_discard)(void *data, u64 flags) = (void *)133;
/* No helpers of the kernel's: BCC makes several of them. */
static void (*linnix_increment)(void *map, void *key, u64 by) = (void *)0x10001;
static void *(*linnix_lookup_or_init)(void *map, void *key, void *init) = (void *)0x10002;

static __always_inline u32 bpf_log2(u32 value)
{
    u32 n_bits = 0;

    for (int i = 0; i < 32; i++)
        n_bits += value >> i != 0;
    return n_bits;
}
static __always_inline u32 bpf_log2l(unsigned long value)
{
    u32 high = value >> 32;

    return high ? bpf_log2(high) + 32 : bpf_log2(value);
}

#define TRACEPOINT_PROBE(category, event) \
    int tracepoint__##category##__##event(struct tracepoint__##category##__##event *args)

#define LINNIX_MAP(text, key_type, leaf_type, name, entries) \
    struct name##_map_t { \
        key_type *key; \
        leaf_type *value; \
        char kind[24]; \
        u32 n_entries; \
    } name##_map __attribute__((section(".maps"), used)) = {.kind = text, .n_entries = entries}
#define LINNIX_TABLE(text, key_type, leaf_type, name, entries) \
    LINNIX_MAP(text, key_type, leaf_type, name, entries); \
    static __always_inline leaf_type *name##_lookup(key_type *key) \
    { return bpf_map_lookup_elem(&name##_map, key); } \
    static __always_inline leaf_type *name##_init(key_type *key, leaf_type *init) \
    { return linnix_lookup_or_init(&name##_map, key, init); } \
    static __always_inline int name##_update(key_type *key, leaf_type *leaf) \
    { return bpf_map_update_elem(&name##_map, key, leaf, BPF_ANY); } \
    static __always_inline int name##_insert(key_type *key, leaf_type *leaf) \
    { return bpf_map_update_elem(&name##_map, key, leaf, BPF_NOEXIST); } \
    static __always_inline int name##_delete(key_type *key) \
    { return bpf_map_delete_elem(&name##_map, key); } \
    static __always_inline void name##_increment1(key_type key) \
    { linnix_increment(&name##_map, &key, 1); } \
    static __always_inline void name##_increment2(key_type key, u64 by) \
    { linnix_increment(&name##_map, &key, by); } \
    static const struct { \
        leaf_type *(*lookup)(key_type *); \
        leaf_type *(*lookup_or_try_init)(key_type *, leaf_type *); \
        leaf_type *(*lookup_or_init)(key_type *, leaf_type *); \
        int (*update)(key_type *, leaf_type *); \
        int (*insert)(key_type *, leaf_type *); \
        int (*delete)(key_type *); \
        void (*increment1)(key_type); \
        void (*increment2)(key_type, u64); \
    } name = {name##_lookup, name##_init, name##_init, name##_update, name##_insert, \
              name##_delete, name##_increment1, name##_increment2}

#define LINNIX_CHOSEN(_1, _2, _3, _4, NAME, ...) NAME
#define LINNIX_INCREMENT(_1, _2, NAME, ...) NAME
#define increment(...) LINNIX_INCREMENT(__VA_ARGS__, increment2, increment1, 0)(__VA_ARGS__)
#define atomic_increment(...) increment(__VA_ARGS__)

#define BPF_TABLE(text, key_type, leaf_type, name, entries) \
    LINNIX_TABLE(text, key_type, leaf_type, name, entries)
#define LINNIX_KEYED(text, NAME, ...) \
    LINNIX_CHOSEN(__VA_ARGS__, LINNIX_KEYED4, LINNIX_KEYED3, LINNIX_KEYED2, LINNIX_KEYED1, 0)(text, __VA_ARGS__)
#define LINNIX_KEYED4(text, name, key_type, leaf_type, entries) \
    LINNIX_TABLE(text, key_type, leaf_type, name, entries)
#define LINNIX_KEYED3(text, name, key_type, leaf_type) LINNIX_KEYED4(text, name, key_type, leaf_type, 10240)
#define LINNIX_KEYED2(text, name, key_type) LINNIX_KEYED3(text, name, key_type, u64)
#define LINNIX_KEYED1(text, name) LINNIX_KEYED2(text, name, u64)
#define BPF_HASH(...) LINNIX_KEYED("hash", 0, __VA_ARGS__)
#define BPF_LRU_HASH(...) LINNIX_KEYED("lru_hash", 0, __VA_ARGS__)
#define BPF_PERCPU_HASH(...) LINNIX_KEYED("percpu_hash", 0, __VA_ARGS__)
#define BPF_LRU_PERCPU_HASH(...) LINNIX_KEYED("lru_percpu_hash", 0, __VA_ARGS__)
#define LINNIX_LISTED(text, ...) \
    LINNIX_CHOSEN(0, __VA_ARGS__, LINNIX_LISTED3, LINNIX_LISTED2, LINNIX_LISTED1, 0)(text, __VA_ARGS__)
#define LINNIX_LISTED3(text, name, leaf_type, entries) LINNIX_TABLE(text, int, leaf_type, name, entries)
#define LINNIX_LISTED2(text, name, leaf_type) LINNIX_LISTED3(text, name, leaf_type, 10240)
#define LINNIX_LISTED1(text, name) LINNIX_LISTED2(text, name, u64)
#define BPF_ARRAY(...) LINNIX_LISTED("array", __VA_ARGS__)
#define BPF_PERCPU_ARRAY(...) LINNIX_LISTED("percpu_array", __VA_ARGS__)
#define LINNIX_HISTOGRAM3(text, name, key_type, entries) LINNIX_TABLE(text, key_type, u64, name, entries)
#define LINNIX_HISTOGRAM2(text, name, key_type) LINNIX_HISTOGRAM3(text, name, key_type, 64)
#define LINNIX_HISTOGRAM1(text, name) LINNIX_HISTOGRAM2(text, name, int)
#define BPF_HISTOGRAM(...) \
    LINNIX_CHOSEN(0, __VA_ARGS__, LINNIX_HISTOGRAM3, LINNIX_HISTOGRAM2, LINNIX_HISTOGRAM1, 0)("array", __VA_ARGS__)

#define BPF_RINGBUF_OUTPUT(name, n_pages) \
    LINNIX_MAP("ringbuf", int, int, name, n_pages); \
    static __always_inline int name##_output(void *data, u64 size, u64 flags) \
    { return linnix_ringbuf_output(&name##_map, data, size, flags); } \
    static __always_inline void *name##_reserve(u64 size) \
    { return linnix_ringbuf_reserve(&name##_map, size, 0); } \
    static __always_inline void name##_submit(void *data, u64 flags) \
    { linnix_ringbuf_submit(data, flags); } \
    static __always_inline void name##_discard(void *data, u64 flags) \
    { linnix_ringbuf_discard(data, flags); } \
    static const struct { \
        int (*ringbuf_output)(void *, u64, u64); \
        void *(*ringbuf_reserve)(u64); \
        void (*ringbuf_submit)(void *, u64); \
        void (*ringbuf_discard)(void *, u64); \
    } name = {name##_output, name##_reserve, name##_submit, name##_discard}
#define BPF_PERF_OUTPUT(name) \
    LINNIX_MAP("perf_event_array", int, int, name, 0); \
    static __always_inline int name##_submit(void *ctx, void *data, u32 size) \
    { return linnix_perf_output(ctx, &name##_map, 0xffffffffULL, data, size); } \
    static const struct { \
        int (*perf_submit)(void *, void *, u32); \
    } name = {name##_submit}
