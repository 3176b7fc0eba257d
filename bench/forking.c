/*
 * Starts processes, and says how many. What is measured is who watches, so this is as fast as it
 * can be: vfork copies nothing.
 *
 *     forking storm SECONDS | count N | exec N | many N
 *
 * storm, count: processes that end at once, for so long or so many. exec: each runs itself first.
 * many: all live until stdin ends. First it waits for a line on stdin, so that it can be watched.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static long repeat(const char *self, double until_s, long n_wanted, int is_running)
{
    char *argv[] = {(char *)self, "nothing", NULL};
    char *envp[] = {NULL};
    long n = 0;

    while (n < n_wanted && (n % 64 || now_s() < until_s)) {
        pid_t child = vfork();

        if (child == 0) {
            if (is_running)
                execve(self, argv, envp);
            _exit(0);
        }
        if (child > 0) {
            n++;
            waitpid(child, NULL, 0);
        }
    }
    return n;
}

static long many(long n_wanted)
{
    pid_t *children = calloc(n_wanted, sizeof(pid_t));
    long n = 0;
    char line[16];

    for (; n < n_wanted; n++) {
        children[n] = fork();
        if (children[n] == 0)
            for (;;)
                pause();
        if (children[n] < 0)
            break;
    }
    printf("%ld\n", n);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin))
        ;
    for (long i = 0; i < n; i++)
        kill(children[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    return n;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    double n = argc > 2 ? atof(argv[2]) : 0;
    char line[16], self[4096] = {0};

    if (!strcmp(what, "nothing"))
        return 0;
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || !fgets(line, sizeof(line), stdin))
        return 1;
    if (!strcmp(what, "many"))
        n = many((long)n);
    else if (!strcmp(what, "storm"))
        n = repeat(self, now_s() + n, 1L << 60, 0);
    else
        n = repeat(self, 1e18, (long)n, !strcmp(what, "exec"));
    printf("%ld\n", (long)n);
    return 0;
}
