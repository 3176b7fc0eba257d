#ifndef DIAG_H
#define DIAG_H
#include <stddef.h>

struct diag_list {
    char (*items)[80];
    size_t count, cap;
};

/* Notes a problem at `at`, a place in `text`. */
void diag_add(struct diag_list *d, const char *text, const char *at, const char *what);
void diag_free(struct diag_list *d);
#endif
