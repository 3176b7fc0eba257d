#include <stdio.h>

void reset_report(unsigned errors)
{
    if (errors)
        printf("reset: %u errors\n", errors);
}
