#include "conf.h"

#include <ctype.h>
#include <string.h>

static const char *skip_line(const char *p)
{
    while (*p && *p != '\n')
        p++;
    return *p ? p + 1 : p;
}

static const char *copy_word(const char *p, char *out, size_t cap)
{
    size_t n = 0;
    while (isalnum((unsigned char)*p) || strchr("_.-/:", *p ? *p : ' ')) {
        if (n + 1 < cap)
            out[n++] = *p;
        p++;
    }
    out[n] = '\0';
    return p;
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

/* One "key = value"; returns where it ended, or p itself if it is none. */
static const char *parse_entry(struct conf *c, const char *p)
{
    struct conf_entry e;
    const char *q = skip_blanks(copy_word(p, e.key, sizeof e.key));
    if (!e.key[0] || *q != '=')
        return p;
    q = copy_word(skip_blanks(q + 1), e.value, sizeof e.value);
    if (c->count < CONF_MAX)
        c->entries[c->count++] = e;
    return skip_line(q);
}

void conf_parse(struct conf *c, const char *text)
{
    const char *p = text;
    memset(c, 0, sizeof *c);
    while (*p) {
        p = skip_blanks(p);
        if (*p == '#' || *p == '\n') {
            p = skip_line(p);
            continue;
        }
        const char *next = parse_entry(c, p);
        if (next == p)
            diag_add(&c->diags, text, p, "expected key = value");
        p = next;
    }
}

const char *conf_get(const struct conf *c, const char *key)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->entries[i].key, key) == 0)
            return c->entries[i].value;
    return NULL;
}
