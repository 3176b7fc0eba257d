#ifndef FLASH_H
#define FLASH_H
#include <stdbool.h>
#include <stdint.h>

#define FLASH_SIZE (64 * 1024)

struct flash {
    uint8_t cells[FLASH_SIZE];
    uint32_t crc;
};

void flash_program(struct flash *f, uint32_t seed);
bool flash_verify(const struct flash *f);

#endif
