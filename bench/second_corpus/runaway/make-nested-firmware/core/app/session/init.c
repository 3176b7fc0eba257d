#include <stdint.h>

static uint32_t session_state;

void session_init(void)
{
    session_state = 37;
}
