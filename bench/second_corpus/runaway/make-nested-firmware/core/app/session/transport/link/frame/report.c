#include <stdio.h>

void frame_report(unsigned errors)
{
    if (errors)
        printf("frame: %u errors\n", errors);
}
