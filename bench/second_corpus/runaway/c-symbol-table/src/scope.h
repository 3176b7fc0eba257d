#ifndef SCOPE_H
#define SCOPE_H
#include "symtab.h"

/* Declares the locals of one block, and forgets them at its end. */
int block_enter(struct symtab *t, int block, int locals);
void block_leave(struct symtab *t, int block, int locals);
#endif
