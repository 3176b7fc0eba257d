#include <stdint.h>

static uint32_t frame_state;

void frame_init(void)
{
    frame_state = 88;
}
