#include "scope.h"

#include <assert.h>
#include <stdio.h>

static void test_nested(void)
{
    struct symtab t;
    assert(symtab_init(&t, 64) == 0);
    for (int b = 0; b < 30; b++)
        assert(block_enter(&t, b, 5) == 0);
    assert(t.live == 150);
    assert(*symtab_find(&t, "b7.local3") == 3);
    assert(symtab_find(&t, "b7.local9") == NULL);
    symtab_free(&t);
    puts("ok nested blocks");
}

static void test_many_blocks(void)
{
    struct symtab t;
    assert(symtab_init(&t, 256) == 0);
    for (int b = 0; b < 4000; b++) {
        assert(block_enter(&t, b, 6) == 0);
        block_leave(&t, b, 6);
    }
    assert(t.live == 0);
    symtab_free(&t);
    puts("ok many blocks");
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_nested();
    test_many_blocks();
    return 0;
}
