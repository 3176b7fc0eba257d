#include "ledger.h"

void depot_init(struct depot *d, const char *name, long units)
{
    pthread_mutex_init(&d->lock, NULL);
    d->name = name;
    d->units = units;
    d->moves = 0;
}

void depot_receive(struct depot *d, long units)
{
    pthread_mutex_lock(&d->lock);
    d->units += units;
    pthread_mutex_unlock(&d->lock);
}

int depot_move(struct depot *from, struct depot *to, long units)
{
    int moved = 0;
    pthread_mutex_lock(&from->lock);
    pthread_mutex_lock(&to->lock);
    if (from->units >= units) {
        from->units -= units;
        to->units += units;
        from->moves++;
        moved = 1;
    }
    pthread_mutex_unlock(&to->lock);
    pthread_mutex_unlock(&from->lock);
    return moved;
}
