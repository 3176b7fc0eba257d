#include <stdio.h>

void clock_report(unsigned errors)
{
    if (errors)
        printf("clock: %u errors\n", errors);
}
