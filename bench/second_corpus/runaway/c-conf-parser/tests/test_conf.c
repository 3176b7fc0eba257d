#include "conf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct conf conf;

static const char *load(const char *dir, const char *name)
{
    static char text[16384];
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    assert(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "tests/data";
    setvbuf(stdout, NULL, _IOLBF, 0);

    conf_parse(&conf, load(dir, "plain.conf"));
    assert(conf.diags.count == 0);
    assert(strcmp(conf_get(&conf, "listen.port"), "8080") == 0);
    puts("ok plain");

    conf_parse(&conf, load(dir, "old-style.conf"));
    assert(conf.diags.count == 1);
    assert(strcmp(conf_get(&conf, "log.level"), "info") == 0);
    puts("ok old style");

    diag_free(&conf.diags);
    return 0;
}
