#include "relay.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int sink(void)
{
    int fd = open("/dev/null", O_WRONLY);
    assert(fd >= 0);
    return fd;
}

static void test_sockets(void)
{
    struct relay r;
    int a[2], b[2];
    assert(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0);
    assert(socketpair(AF_UNIX, SOCK_STREAM, 0, b) == 0);
    relay_init(&r, sink());
    relay_add(&r, a[0]);
    relay_add(&r, b[0]);
    assert(write(a[1], "one\n", 4) == 4);
    assert(write(b[1], "three\n", 6) == 6);
    close(a[1]);
    close(b[1]);
    assert(relay_run(&r) == 0);
    assert(r.bytes == 10);
    puts("ok sockets");
}

static void test_child_output(void)
{
    struct relay r;
    int p[2];
    assert(pipe(p) == 0);
    pid_t child = fork();
    if (child == 0) {
        dprintf(p[1], "line from the child\n");
        _exit(0);
    }
    close(p[1]);
    relay_init(&r, sink());
    relay_add(&r, p[0]);
    assert(relay_run(&r) == 0);
    assert(r.bytes == 20);
    waitpid(child, NULL, 0);
    puts("ok child output");
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_sockets();
    test_child_output();
    return 0;
}
