/* flash.h: a slow flash of 512-byte sectors that is not there. It remembers a version of each sector and makes the
 * bytes up from it, so that a reader can tell what they have to be. */
#ifndef FLASH_H
#define FLASH_H

#include <stdint.h>

#define FLASH_SECTORS 200
#define SECTOR_SIZE 512

struct sector {
    uint32_t number;
    uint32_t version;
    uint8_t bytes[SECTOR_SIZE - 8];
};

/* What a sector looks like in this version. */
void sector_fill(struct sector *sector, uint32_t number, uint32_t version);

void flash_read(uint32_t number, struct sector *out);
void flash_write(const struct sector *sector);

/* How often somebody had to wait for flash_read. */
uint32_t flash_reads(void);

#endif
