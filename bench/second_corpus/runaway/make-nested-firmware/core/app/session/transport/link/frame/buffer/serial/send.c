#include <stdint.h>
#include <string.h>

int serial_send(uint8_t *to, const uint8_t *from, uint32_t len)
{
    if (len > 120)
        return -1;
    memcpy(to, from, len);
    return (int)len;
}
