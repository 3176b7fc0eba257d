/*
 * Runs a command and writes what it took, as JSON: wall time, CPU time of its tree (of those that
 * were waited for), and time that the machine was busy, with whatever else ran on it.
 *
 *   stopwatch FILE CMD [ARG ...]
 *
 * Its exit status is CMD's. A program of its own, so that starting whatever watches is not timed,
 * and in C, so that it weighs nothing.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* All that is not idle, waiting for a disk, or another virtual machine's. */
static uint64_t busy_ns(void)
{
    uint64_t user = 0, nice = 0, system = 0, irq = 0, softirq = 0;
    FILE *file = fopen("/proc/stat", "r");

    if (!file || fscanf(file, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %" SCNu64
                        " %" SCNu64, &user, &nice, &system, &irq, &softirq) != 5)
        exit(125);
    fclose(file);
    return (user + nice + system + irq + softirq) * (1000000000 / sysconf(_SC_CLK_TCK));
}

static uint64_t ns_of(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_usec * 1000;
}

int main(int argc, char **argv)
{
    uint64_t wall_before_ns, busy_before_ns, wall_ns, all_busy_ns;
    struct rusage used;
    FILE *result;
    int status;
    pid_t child;

    if (argc < 3)
        return 125;
    busy_before_ns = busy_ns();
    wall_before_ns = now_ns();
    child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 125;
    wall_ns = now_ns() - wall_before_ns;
    all_busy_ns = busy_ns() - busy_before_ns;
    getrusage(RUSAGE_CHILDREN, &used);
    result = fopen(argv[1], "w");
    if (!result)
        return 125;
    fprintf(result, "{\"wall_ns\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 ", \"busy_ns\": %" PRIu64 "}\n",
            wall_ns, ns_of(used.ru_utime) + ns_of(used.ru_stime), all_busy_ns);
    if (fclose(result))
        return 125;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
