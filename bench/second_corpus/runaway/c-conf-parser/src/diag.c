#include "diag.h"

#include <stdio.h>
#include <stdlib.h>

void diag_add(struct diag_list *d, const char *text, const char *at, const char *what)
{
    unsigned line = 1, col = 1;
    for (const char *p = text; p < at; p++) {
        col++;
        if (*p == '\n') {
            line++;
            col = 1;
        }
    }
    if (d->count == d->cap) {
        d->cap += 4096;
        d->items = realloc(d->items, d->cap * sizeof *d->items);
        if (!d->items)
            abort();
    }
    snprintf(d->items[d->count++], sizeof *d->items, "%u:%u: %s near '%.12s'", line, col, what, at);
}

void diag_free(struct diag_list *d)
{
    free(d->items);
    d->items = NULL;
    d->count = d->cap = 0;
}
