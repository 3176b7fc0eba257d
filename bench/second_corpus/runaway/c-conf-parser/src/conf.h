#ifndef CONF_H
#define CONF_H
#include "diag.h"

#define CONF_MAX 64

struct conf_entry {
    char key[32];
    char value[64];
};

struct conf {
    struct conf_entry entries[CONF_MAX];
    size_t count;
    struct diag_list diags;
};

/* Reads "key = value" lines; '#' begins a comment. Problems go to c->diags. */
void conf_parse(struct conf *c, const char *text);
const char *conf_get(const struct conf *c, const char *key);
#endif
