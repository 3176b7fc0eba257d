#include "scope.h"

#include <stdio.h>

int block_enter(struct symtab *t, int block, int locals)
{
    char name[24];
    for (int i = 0; i < locals; i++) {
        snprintf(name, sizeof name, "b%d.local%d", block, i);
        if (symtab_put(t, name, i) < 0)
            return -1;
    }
    return 0;
}

void block_leave(struct symtab *t, int block, int locals)
{
    char name[24];
    for (int i = 0; i < locals; i++) {
        snprintf(name, sizeof name, "b%d.local%d", block, i);
        symtab_remove(t, name);
    }
}
