#include <stdio.h>

void gpio_report(unsigned errors)
{
    if (errors)
        printf("gpio: %u errors\n", errors);
}
