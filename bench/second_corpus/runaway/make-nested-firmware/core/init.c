#include <stdint.h>

static uint32_t core_state;

void core_init(void)
{
    core_state = 3;
}
