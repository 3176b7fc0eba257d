#include <stdio.h>

void session_report(unsigned errors)
{
    if (errors)
        printf("session: %u errors\n", errors);
}
