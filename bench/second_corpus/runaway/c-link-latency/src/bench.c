/* Round-trip times between two processes over a pair of sockets. */
#include "link.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void echo(int fd)
{
    struct frame f;
    while (link_recv(fd, &f) == 0 && link_send(fd, &f) == 0)
        ;
    _exit(0);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1, worst = 0, total = 0;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
        return 2;
    pid_t peer = fork();
    if (peer == 0) {
        close(pair[0]);
        echo(pair[1]);
    }
    close(pair[1]);

    struct frame out, in;
    uint32_t rounds = 0;
    for (double start = now(), t0 = start; t0 - start < seconds; rounds++) {
        out.seq = rounds;
        memset(out.body, rounds & 0xFF, sizeof out.body);
        out.sum = link_sum(&out);
        if (link_send(pair[0], &out) || link_recv(pair[0], &in) || in.seq != rounds)
            return 1;
        double t1 = now();
        total += t1 - t0;
        worst = t1 - t0 > worst ? t1 - t0 : worst;
        t0 = t1;
    }
    close(pair[0]);
    waitpid(peer, NULL, 0);
    printf("%u rounds, mean %.2f us, worst %.0f us\n", rounds, total / rounds * 1e6, worst * 1e6);
    return rounds < 100;
}
