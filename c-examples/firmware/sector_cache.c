/* sector_cache.c: a cache in 32 KiB of static memory. Keys are sector numbers, values are sectors, and nothing
 * expires, so that the cache needs no clock. */
#include "sector_cache.h"

_Alignas(LARDER_ALIGN) static unsigned char region[SECTOR_REGION_SIZE];
static larder_cache *cache;

larder_status sector_cache_open(void)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.flags = LARDER_SINGLE_THREAD;
    config.key_len_max = sizeof(uint32_t);
    config.value_len_max = SECTOR_SIZE;
    return larder_cache_init(region, sizeof region, &config, &cache);
}

static void keep(const struct sector *sector)
{
    const uint32_t number = sector->number;
    larder_status status =
        larder_cache_set(cache, &number, sizeof number, sector, sizeof *sector, LARDER_TTL_NEVER);
    if (status != LARDER_OK)
        larder_cache_delete(cache, &number, sizeof number); /* the cache must not keep an old version */
}

void sector_read(uint32_t number, struct sector *out)
{
    size_t len;
    if (larder_cache_get(cache, &number, sizeof number, out, sizeof *out, &len) == LARDER_OK)
        return;
    flash_read(number, out);
    keep(out);
}

void sector_write(const struct sector *sector)
{
    flash_write(sector);
    keep(sector);
}

larder_cache *sector_cache_handle(void)
{
    return cache;
}
