#ifndef FILTER_H
#define FILTER_H
#include <stddef.h>

/* Sends text through a command; returns what came out (to be freed), or NULL. */
char *filter_text(char *const argv[], const char *text, size_t len, size_t *out_len);
#endif
