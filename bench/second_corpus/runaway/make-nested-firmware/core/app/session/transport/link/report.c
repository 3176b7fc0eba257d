#include <stdio.h>

void link_report(unsigned errors)
{
    if (errors)
        printf("link: %u errors\n", errors);
}
