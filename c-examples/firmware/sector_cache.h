/* sector_cache.h: sectors of a slow flash, with frequently read ones in RAM. A write is made to the flash at once. */
#ifndef SECTOR_CACHE_H
#define SECTOR_CACHE_H

#include "flash.h"

#include <larder.h>

#define SECTOR_REGION_SIZE (32 * 1024)

larder_status sector_cache_open(void);

/* Reads a sector from the cache. On a miss, reads it from the flash and stores it in the cache. */
void sector_read(uint32_t number, struct sector *out);

/* Writes a sector to the flash and to the cache. */
void sector_write(const struct sector *sector);

/* For statistics, and to change the limit. */
larder_cache *sector_cache_handle(void);

#endif
