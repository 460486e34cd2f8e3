/* check.h: counts checks that hold and checks that do not, and prints the place of the latter. */
#ifndef CHECK_H
#define CHECK_H

#include <larder.h>

#include <stdbool.h>
#include <stdio.h>

#define FAILURES_PRINTED_MAX 10

#define CHECK(claim) check_claim((claim), #claim, __FILE__, __LINE__)

extern unsigned checks, checks_failed;

static inline bool check_claim(bool holds, const char *claim, const char *file, int line)
{
    checks++;
    if (!holds && ++checks_failed <= FAILURES_PRINTED_MAX)
        printf("%s:%d: does not hold: %s\n", file, line, claim);
    return holds;
}

/* The statistics of a cache. Checks what holds after every call: the sums of bytes and of items. */
static inline larder_cache_stats_t checked_stats(const larder_cache *cache)
{
    larder_cache_stats_t stats = LARDER_CACHE_STATS_INIT;
    CHECK(larder_cache_check(cache) == LARDER_OK);
    CHECK(larder_cache_stats(cache, &stats) == LARDER_OK);
    CHECK(stats.payload_bytes + stats.free_bytes + stats.overhead_bytes == stats.region_bytes);
    CHECK(stats.item_count ==
          stats.sets - stats.updates - stats.deletes - stats.evictions - stats.expirations);
    return stats;
}

/* The same numbers in every run (xorshift32). */
static inline uint32_t random_below(uint32_t bound)
{
    static uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % bound;
}

#endif
