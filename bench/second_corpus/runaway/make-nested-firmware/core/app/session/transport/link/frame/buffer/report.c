#include <stdio.h>

void buffer_report(unsigned errors)
{
    if (errors)
        printf("buffer: %u errors\n", errors);
}
