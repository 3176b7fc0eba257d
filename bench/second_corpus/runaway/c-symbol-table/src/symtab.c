#include "symtab.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t hash(const char *s)
{
    uint32_t h = 2166136261u;
    while (*s)
        h = (h ^ (unsigned char)*s++) * 16777619u;
    return h;
}

int symtab_init(struct symtab *t, size_t cap)
{
    t->slots = calloc(cap, sizeof *t->slots);
    t->cap = cap;
    t->live = 0;
    return t->slots ? 0 : -1;
}

void symtab_free(struct symtab *t)
{
    free(t->slots);
}

static struct slot *lookup(struct symtab *t, const char *name)
{
    size_t i = hash(name) & (t->cap - 1);
    for (;;) {
        struct slot *s = &t->slots[i];
        if (s->state == SLOT_EMPTY)
            return NULL;
        if (s->state == SLOT_LIVE && strcmp(s->name, name) == 0)
            return s;
        i = (i + 1) & (t->cap - 1);
    }
}

static int grow(struct symtab *t)
{
    struct symtab bigger;
    if (symtab_init(&bigger, t->cap * 2) < 0)
        return -1;
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].state == SLOT_LIVE)
            symtab_put(&bigger, t->slots[i].name, t->slots[i].value);
    free(t->slots);
    *t = bigger;
    return 0;
}

int *symtab_find(struct symtab *t, const char *name)
{
    struct slot *s = lookup(t, name);
    return s ? &s->value : NULL;
}

int symtab_put(struct symtab *t, const char *name, int value)
{
    struct slot *s = lookup(t, name);
    if (s) {
        s->value = value;
        return 0;
    }
    if ((t->live + 1) * 4 > t->cap * 3 && grow(t) < 0)
        return -1;
    size_t i = hash(name) & (t->cap - 1);
    while (t->slots[i].state == SLOT_LIVE)
        i = (i + 1) & (t->cap - 1);
    s = &t->slots[i];
    s->state = SLOT_LIVE;
    strncpy(s->name, name, sizeof s->name - 1);
    s->name[sizeof s->name - 1] = '\0';
    s->value = value;
    t->live++;
    return 0;
}

void symtab_remove(struct symtab *t, const char *name)
{
    struct slot *s = lookup(t, name);
    if (s) {
        s->state = SLOT_DELETED;
        t->live--;
    }
}
