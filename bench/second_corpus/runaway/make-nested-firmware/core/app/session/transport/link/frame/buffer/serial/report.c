#include <stdio.h>

void serial_report(unsigned errors)
{
    if (errors)
        printf("serial: %u errors\n", errors);
}
