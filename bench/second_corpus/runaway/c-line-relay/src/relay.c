#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

void relay_init(struct relay *r, int out)
{
    r->count = 0;
    r->out = out;
    r->bytes = 0;
}

int relay_add(struct relay *r, int fd)
{
    if (r->count == RELAY_MAX)
        return -1;
    r->in[r->count++] = fd;
    return 0;
}

static int copy_some(struct relay *r, int fd)
{
    char buf[512];
    ssize_t n = read(fd, buf, sizeof buf);
    if (n <= 0)
        return (int)n;
    r->bytes += (unsigned long)n;
    return write(r->out, buf, (size_t)n) == n ? 1 : -1;
}

int relay_run(struct relay *r)
{
    struct pollfd fds[RELAY_MAX];
    size_t open = r->count;

    for (size_t i = 0; i < r->count; i++) {
        fds[i].fd = r->in[i];
        fds[i].events = POLLIN;
    }
    while (open > 0) {
        int ready = poll(fds, r->count, -1);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0)
            return -1;
        for (size_t i = 0; i < r->count; i++) {
            if (!(fds[i].revents & POLLIN))
                continue;
            if (copy_some(r, fds[i].fd) <= 0) {
                fds[i].fd = -1;
                open--;
            }
        }
    }
    return 0;
}
