#include <stdio.h>

void core_report(unsigned errors)
{
    if (errors)
        printf("core: %u errors\n", errors);
}
