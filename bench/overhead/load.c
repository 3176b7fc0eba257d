/*
 * The small loads: each does one thing N times, and nothing else.
 *
 *   load fork|exec|syscalls|switches|compute N
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void end_of(pid_t child)
{
    int status;

    must(child > 0, "fork");
    must(waitpid(child, &status, 0) == child && status == 0, "a child");
}

static void fork_only(long n)
{
    while (n-- > 0) {
        pid_t child = fork();

        if (child == 0)
            _exit(0);
        end_of(child);
    }
}

/* This program itself, dynamically linked as most are; without arguments it ends at once. */
static void fork_and_exec(long n)
{
    char *argv[] = {"load", NULL};

    while (n-- > 0) {
        pid_t child = fork();

        if (child == 0) {
            execv("/proc/self/exe", argv);
            _exit(1);
        }
        end_of(child);
    }
}

/* Short ones, that do some work all the same. */
static void call_the_kernel(long n)
{
    int file = open("/proc/self/exe", O_RDONLY);
    char byte;

    must(file >= 0, "open");
    while (n-- > 0)
        must(pread(file, &byte, 1, 0) == 1, "pread");
}

/* On one CPU, so that each byte is a switch to the other process and back. */
static void switch_to_and_fro(long n)
{
    int there[2], back[2];
    char byte = 0;
    cpu_set_t one;
    pid_t child;

    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    must(sched_setaffinity(0, sizeof(one), &one) == 0, "sched_setaffinity");
    must(pipe(there) == 0 && pipe(back) == 0, "pipe");
    child = fork();
    if (child == 0) {
        close(there[1]);
        while (read(there[0], &byte, 1) == 1)
            must(write(back[1], &byte, 1) == 1, "write");
        _exit(0);
    }
    while (n-- > 0)
        must(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "ping-pong");
    close(there[1]);
    end_of(child);
}

static void compute(long n)
{
    volatile uint64_t result;
    uint64_t state = 88172645463325252ULL;

    while (n-- > 0) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    result = state;
    (void)result;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(long n);
    } loads[] = {
        {"fork", fork_only},           {"exec", fork_and_exec}, {"syscalls", call_the_kernel},
        {"switches", switch_to_and_fro}, {"compute", compute},
    };

    if (argc < 3)
        return 0;
    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
        if (!strcmp(argv[1], loads[i].name)) {
            loads[i].run(atol(argv[2]));
            return 0;
        }
    fprintf(stderr, "load: no load called %s\n", argv[1]);
    return 2;
}
