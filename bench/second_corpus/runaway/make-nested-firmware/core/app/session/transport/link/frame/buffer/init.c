#include <stdint.h>

static uint32_t buffer_state;

void buffer_init(void)
{
    buffer_state = 105;
}
