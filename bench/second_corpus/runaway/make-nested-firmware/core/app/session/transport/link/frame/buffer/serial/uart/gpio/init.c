#include <stdint.h>

static uint32_t gpio_state;

void gpio_init(void)
{
    gpio_state = 156;
}
