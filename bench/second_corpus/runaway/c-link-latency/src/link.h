#ifndef LINK_H
#define LINK_H
#include <stdint.h>

struct frame {
    uint32_t seq;
    uint32_t sum;
    uint8_t body[56];
};

int link_send(int fd, const struct frame *f);
int link_recv(int fd, struct frame *f);
uint32_t link_sum(const struct frame *f);

#endif
