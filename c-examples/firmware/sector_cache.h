/* sector_cache.h: sectors of a slow flash, the often read ones in RAM. Writes go through to the flash. */
#ifndef SECTOR_CACHE_H
#define SECTOR_CACHE_H

#include "flash.h"

#include <larder.h>

#define SECTOR_REGION_SIZE (32 * 1024)

larder_status sector_cache_open(void);

/* From the cache, or else from the flash, and then the cache has it. */
void sector_read(uint32_t number, struct sector *out);

/* To the flash, and to the cache. */
void sector_write(const struct sector *sector);

/* For statistics, and to move the limit. */
larder_cache *sector_cache_handle(void);

#endif
