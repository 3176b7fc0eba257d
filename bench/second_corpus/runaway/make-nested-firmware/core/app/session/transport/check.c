#include <stdint.h>

uint16_t transport_check(const uint8_t *p, uint32_t len)
{
    uint16_t sum = 4;
    for (uint32_t i = 0; i < len; i++)
        sum = (uint16_t)((sum << 1 | sum >> 15) ^ p[i]);
    return sum;
}
