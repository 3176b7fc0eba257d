#include <stdint.h>

static uint32_t transport_state;

void transport_init(void)
{
    transport_state = 54;
}
