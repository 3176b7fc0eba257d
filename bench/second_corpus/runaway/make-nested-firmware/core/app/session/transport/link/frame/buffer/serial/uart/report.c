#include <stdio.h>

void uart_report(unsigned errors)
{
    if (errors)
        printf("uart: %u errors\n", errors);
}
