#include "flash.h"
#include "crc32.h"

void flash_program(struct flash *f, uint32_t seed)
{
    for (int i = 0; i < FLASH_SIZE; i++) {
        seed = seed * 1103515245u + 12345u;
        f->cells[i] = seed >> 16;
    }
    f->crc = crc32_update(0, f->cells, FLASH_SIZE);
}

bool flash_verify(const struct flash *f)
{
    return crc32_update(0, f->cells, FLASH_SIZE) == f->crc;
}
