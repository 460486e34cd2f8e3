/* sector_check.c: checks of the sector cache: a read returns the sector written last, and the flash is read only on a
 * miss. */
#include "check.h"
#include "parts.h"
#include "sector_cache.h"

#include <string.h>

#define TURNS 8000

static uint32_t written[FLASH_SECTORS]; /* version of each sector */

static void read_and_compare(uint32_t number)
{
    static struct sector found, expected;
    sector_fill(&expected, number, written[number]);
    sector_read(number, &found);
    CHECK(memcmp(&found, &expected, sizeof found) == 0);
}

static void write_next_version(uint32_t number)
{
    static struct sector sector;
    sector_fill(&sector, number, ++written[number]);
    sector_write(&sector);
}

/* While all sectors fit, the flash is read once for each sector. */
static void few_sectors(void)
{
    for (uint32_t turn = 0; turn < 3; turn++)
        for (uint32_t number = 0; number < 20; number++)
            read_and_compare(number);
    CHECK(flash_reads() == 20);
}

/* As a file system: a table is read often, data sometimes, and one request in ten is a write. */
static void many_sectors(uint32_t turns)
{
    for (uint32_t turn = 0; turn < turns; turn++) {
        uint32_t number = random_below(2) ? random_below(16) : random_below(FLASH_SECTORS);
        if (random_below(10) == 0)
            write_next_version(number);
        else
            read_and_compare(number);
        if (turn % 64 == 0)
            checked_stats(sector_cache_handle());
    }
}

static void half_limit(void)
{
    larder_cache *cache = sector_cache_handle();
    CHECK(larder_cache_set_memory_limit(cache, SECTOR_REGION_SIZE / 2) == LARDER_OK);
    many_sectors(TURNS / 8); /* each write evicts a few sectors */
    CHECK(larder_cache_optimize(cache, 0, NULL) == LARDER_OK);
    CHECK(larder_cache_memory_usage(cache) <= SECTOR_REGION_SIZE / 2);
    many_sectors(TURNS / 8);
    CHECK(larder_cache_memory_usage(cache) <= SECTOR_REGION_SIZE / 2);
    CHECK(larder_cache_set_memory_limit(cache, SECTOR_REGION_SIZE) == LARDER_OK);
}

void sector_check(void)
{
    CHECK(sector_cache_open() == LARDER_OK);
    few_sectors();
    many_sectors(TURNS);
    half_limit();
    many_sectors(TURNS / 8);

    larder_cache_stats_t stats = checked_stats(sector_cache_handle());
    CHECK(stats.misses == flash_reads());
    CHECK(stats.evictions > 0 && stats.hits > stats.misses);
    printf("sectors: %u hits, %u reads of the flash, %u evicted\n", (unsigned)stats.hits, (unsigned)flash_reads(),
           (unsigned)stats.evictions);
}
