#include "link.h"
#include <errno.h>
#include <sys/socket.h>

uint32_t link_sum(const struct frame *f)
{
    uint32_t sum = f->seq;
    for (unsigned i = 0; i < sizeof f->body; i++)
        sum = sum * 31 + f->body[i];
    return sum;
}

int link_send(int fd, const struct frame *f)
{
    return send(fd, f, sizeof *f, 0) == sizeof *f ? 0 : -1;
}

/* Does not sleep in the kernel: waking up costs more than the frame. */
int link_recv(int fd, struct frame *f)
{
    for (;;) {
        ssize_t n = recv(fd, f, sizeof *f, MSG_DONTWAIT);
        if (n == sizeof *f)
            return f->sum == link_sum(f) ? 0 : -1;
        if (n >= 0 || (errno != EAGAIN && errno != EINTR))
            return -1;
    }
}
