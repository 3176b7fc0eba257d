#include <stdint.h>

static uint32_t app_state;

void app_init(void)
{
    app_state = 20;
}
