#ifndef CRC32_H
#define CRC32_H
#include <stddef.h>
#include <stdint.h>

void crc32_init(void);
uint32_t crc32_update(uint32_t crc, const uint8_t *data, size_t len);

#endif
