#include <stdint.h>

static uint32_t clock_state;

void clock_init(void)
{
    clock_state = 173;
}
