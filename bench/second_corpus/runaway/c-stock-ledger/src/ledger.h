#ifndef LEDGER_H
#define LEDGER_H
#include <pthread.h>

struct depot {
    pthread_mutex_t lock;
    const char *name;
    long units;
    unsigned long moves;
};

void depot_init(struct depot *d, const char *name, long units);
void depot_receive(struct depot *d, long units);
int depot_move(struct depot *from, struct depot *to, long units);
#endif
