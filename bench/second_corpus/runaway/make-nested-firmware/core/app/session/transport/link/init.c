#include <stdint.h>

static uint32_t link_state;

void link_init(void)
{
    link_state = 71;
}
