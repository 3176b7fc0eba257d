#include <stdio.h>

void transport_report(unsigned errors)
{
    if (errors)
        printf("transport: %u errors\n", errors);
}
