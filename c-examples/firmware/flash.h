/* flash.h: a simulated slow flash with sectors of 512 bytes. It stores a version for each sector and computes the
 * sector's bytes from it, so that a reader can check them. */
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

/* Computes the bytes of a sector in this version. */
void sector_fill(struct sector *sector, uint32_t number, uint32_t version);

void flash_read(uint32_t number, struct sector *out);
void flash_write(const struct sector *sector);

/* Number of calls of flash_read. */
uint32_t flash_reads(void);

#endif
