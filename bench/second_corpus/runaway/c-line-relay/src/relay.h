#ifndef RELAY_H
#define RELAY_H
#include <stddef.h>

#define RELAY_MAX 8

/* Merges what comes from several descriptors into one, until all are at their end. */
struct relay {
    int in[RELAY_MAX];
    size_t count;
    int out;
    unsigned long bytes;
};

void relay_init(struct relay *r, int out);
int relay_add(struct relay *r, int fd);
int relay_run(struct relay *r);
#endif
