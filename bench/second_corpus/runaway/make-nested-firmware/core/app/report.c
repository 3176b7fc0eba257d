#include <stdio.h>

void app_report(unsigned errors)
{
    if (errors)
        printf("app: %u errors\n", errors);
}
