#include "filter.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *const upper[] = {"tr", "a-z", "A-Z", NULL};

static void test_a_line(void)
{
    size_t n;
    char *s = filter_text(upper, "hello\n", 6, &n);
    assert(s && n == 6 && memcmp(s, "HELLO\n", 6) == 0);
    free(s);
    puts("ok a line");
}

static void test_no_such_command(void)
{
    char *const argv[] = {"no-such-filter", NULL};
    size_t n;
    assert(filter_text(argv, "", 0, &n) == NULL);
    puts("ok no such command");
}

static void test_a_manual(void)
{
    static const char line[] = "the quick brown fox jumps over the lazy dog\n";
    size_t len = 0, n, want = 12000 * (sizeof line - 1);
    char *text = malloc(want);
    while (len < want) {
        memcpy(text + len, line, sizeof line - 1);
        len += sizeof line - 1;
    }
    char *s = filter_text(upper, text, len, &n);
    assert(s && n == len);
    free(s);
    free(text);
    puts("ok a manual");
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_a_line();
    test_no_such_command();
    test_a_manual();
    return 0;
}
