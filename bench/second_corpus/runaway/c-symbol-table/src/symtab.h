#ifndef SYMTAB_H
#define SYMTAB_H
#include <stddef.h>

enum slot_state { SLOT_EMPTY, SLOT_LIVE, SLOT_DELETED };

struct slot {
    enum slot_state state;
    char name[24];
    int value;
};

/* Names to numbers; open addressing, the capacity is a power of two. */
struct symtab {
    struct slot *slots;
    size_t cap;
    size_t live;
};

int symtab_init(struct symtab *t, size_t cap);
void symtab_free(struct symtab *t);
int *symtab_find(struct symtab *t, const char *name);
int symtab_put(struct symtab *t, const char *name, int value);
void symtab_remove(struct symtab *t, const char *name);
#endif
