#include <stdint.h>

static uint32_t serial_state;

void serial_init(void)
{
    serial_state = 122;
}
