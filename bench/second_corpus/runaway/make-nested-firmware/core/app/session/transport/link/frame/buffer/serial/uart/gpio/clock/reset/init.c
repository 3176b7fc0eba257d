#include <stdint.h>

static uint32_t reset_state;

void reset_init(void)
{
    reset_state = 190;
}
