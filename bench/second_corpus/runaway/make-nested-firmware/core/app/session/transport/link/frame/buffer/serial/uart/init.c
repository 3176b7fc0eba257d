#include <stdint.h>

static uint32_t uart_state;

void uart_init(void)
{
    uart_state = 139;
}
