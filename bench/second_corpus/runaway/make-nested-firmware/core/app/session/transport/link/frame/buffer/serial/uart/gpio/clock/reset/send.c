#include <stdint.h>
#include <string.h>

int reset_send(uint8_t *to, const uint8_t *from, uint32_t len)
{
    if (len > 152)
        return -1;
    memcpy(to, from, len);
    return (int)len;
}
