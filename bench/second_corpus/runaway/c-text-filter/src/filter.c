#include "filter.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t start(char *const argv[], int *to, int *from)
{
    int in[2], out[2];
    if (pipe(in) < 0 || pipe(out) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]);
        close(in[1]);
        close(out[0]);
        close(out[1]);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *to = in[1];
    *from = out[0];
    return pid;
}

static int write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static char *read_all(int fd, size_t *len)
{
    size_t cap = 4096;
    char *buf = malloc(cap);
    *len = 0;
    for (;;) {
        ssize_t n = read(fd, buf + *len, cap - *len);
        if (n <= 0)
            return buf;
        *len += (size_t)n;
        if (*len == cap)
            buf = realloc(buf, cap *= 2);
    }
}

char *filter_text(char *const argv[], const char *text, size_t len, size_t *out_len)
{
    int to, from, status;
    pid_t pid = start(argv, &to, &from);
    if (pid < 0)
        return NULL;

    int sent = write_all(to, text, len);
    close(to);
    char *result = read_all(from, out_len);
    close(from);
    waitpid(pid, &status, 0);
    if (sent < 0 || status != 0) {
        free(result);
        return NULL;
    }
    return result;
}
