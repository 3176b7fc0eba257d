/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The wire contract between the probes and user space: one struct per kind of record on the
 * `events` ring buffer, and the values of the evidence maps. linnix_ls/tracer/wire.py is
 * generated from this file (make generate); a test fails when the two disagree.
 *
 * Plain C11 without BCC words, so that any C compiler can check sizes and offsets. Widest
 * fields first, no holes: padding is a named field. Constants that user space needs are
 * enums, because BTF carries enums and not macros.
 */
#ifndef LINNIX_EVENTS_H
#define LINNIX_EVENTS_H

enum event_kind {
    EVENT_FORK = 1,
    EVENT_EXEC = 2,
    EVENT_EXIT = 3,
    EVENT_SAMPLE = 4,
};

enum event_limits {
    COMM_LEN = 16,
    FILENAME_LEN = 256,
    PATH_KEY_LEN = 152,
    ARGV_LEN = 1024,          /* a power of two: the verifier bounds lengths by masking */
    USER_STACK_DEPTH = 24,
    KERNEL_STACK_DEPTH = 8,
};

/* A process is (tgid, start_boottime_ns): the pid alone is reused. */
struct event_header {
    __u64 ktime_ns;           /* CLOCK_MONOTONIC */
    __u64 start_boottime_ns;  /* of the process that the record is about */
    __u32 tgid;
    __u32 tid;
    __u32 uid;
    __u8 kind;                /* enum event_kind */
    __u8 pad[3];
};
_Static_assert(sizeof(struct event_header) == 32, "event_header");

/* A new process (never a thread). header: the child. */
struct fork_event {
    struct event_header header;
    __u64 parent_start_boottime_ns;
    __u32 parent_tgid;
    __u32 pad;
    char comm[COMM_LEN];
};
_Static_assert(sizeof(struct fork_event) == 64, "fork_event");

/* argv holds the first argv_len bytes of the NUL-separated arguments; argv_total_len says how
 * many there are, so that a cut is known to be one. */
struct exec_event {
    struct event_header header;
    __u64 parent_start_boottime_ns;
    __u32 parent_tgid;
    __u32 is_watched;         /* 0: reported for its uid only, see watched_uids */
    __u32 argv_len;
    __u32 argv_total_len;
    char comm[COMM_LEN];
    char filename[FILENAME_LEN];
    char argv[ARGV_LEN];
};
_Static_assert(sizeof(struct exec_event) == 72 + FILENAME_LEN + ARGV_LEN, "exec_event");

/* The last thread of a process has gone. wait_status is as wait(2) would return it. */
struct exit_event {
    struct event_header header;
    __u32 wait_status;
    __u32 pad;
    char comm[COMM_LEN];
};
_Static_assert(sizeof(struct exit_event) == 56, "exit_event");

/* One tick of the CPU clock that found a watched process running. registers_hash covers the
 * instruction pointer and the caller-saved registers of user code: a loop without progress
 * comes back to the same few values. It is 0 for samples taken in the kernel. */
struct sample_event {
    struct event_header header;
    __u64 registers_hash;
    __u32 n_user_ips;
    __u32 n_kernel_ips;
    __u64 kernel_ips[KERNEL_STACK_DEPTH];
    __u64 user_ips[USER_STACK_DEPTH];
};
_Static_assert(sizeof(struct sample_event) == 48 + 8 * (KERNEL_STACK_DEPTH + USER_STACK_DEPTH),
               "sample_event");

/* Evidence, gathered for suspects only. */
struct syscall_key {
    __u32 tgid;
    __u32 syscall;
};
_Static_assert(sizeof(struct syscall_key) == 8, "syscall_key");

struct syscall_counts {
    __u64 n_calls;
    __u64 n_errors;
    __u64 n_zero;             /* returned 0: for reads and waits, nothing was there */
    __u64 total_result;       /* the sum of positive results: bytes, for reads and writes */
};
_Static_assert(sizeof(struct syscall_counts) == 32, "syscall_counts");

/* A path that a system call was given; empty for those that do not fit. The rest is zero. */
struct path_key {
    __u32 tgid;
    __u32 syscall;
    char path[PATH_KEY_LEN];
};
_Static_assert(sizeof(struct path_key) == 8 + PATH_KEY_LEN, "path_key");

/* What could not be delivered, by reason: index of the `lost` array. */
enum loss_reason {
    LOST_RING_FULL = 0,
    LOST_SCOPE_FULL = 1,
    N_LOSS_REASONS = 2,
};

#endif
