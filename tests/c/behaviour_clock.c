/* behaviour_clock.c: the clock of a cache without a clock hook. This program replaces the C library's clock_gettime, to
 * simulate suspend. */
#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <time.h>

enum { REGION_SIZE = 64 * 1024, TTL_MS = 1500 };

static time_t monotonic_s = 1000, suspended_s;
static int has_boottime = 1;

int clock_gettime(clockid_t id, struct timespec *out)
{
    time_t suspended = 0;
#ifdef CLOCK_BOOTTIME
    if (id == CLOCK_BOOTTIME && !has_boottime) {
        errno = EINVAL;
        return -1;
    }
    if (id == CLOCK_BOOTTIME)
        suspended = suspended_s;
#endif
    out->tv_sec = monotonic_s + suspended;
    out->tv_nsec = 999999999;
    return 0;
}

static void set_and_wait(int64_t awake_s, int64_t asleep_s, larder_status want)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    CHECK_STATUS(larder_cache_set(cache, "key", 3, "value", 5, TTL_MS), LARDER_OK);
    monotonic_s += (time_t)awake_s;
    suspended_s += (time_t)asleep_s;
    CHECK_STATUS(larder_cache_contains(cache, "key", 3), want);
    check_cache(cache, &region);
    region_free(&region);
}

static void time_runs_in_suspend(void)
{
    set_context("set", "the library's clock");
    set_and_wait(1, 0, LARDER_OK);
    set_and_wait(2, 0, LARDER_NOT_FOUND);
#ifdef __linux__
    set_and_wait(0, 1, LARDER_OK);
    set_and_wait(0, 2, LARDER_NOT_FOUND);
    set_and_wait(1, 1, LARDER_NOT_FOUND);
#endif
}

/* As on an old kernel, or in a sandbox that refuses CLOCK_BOOTTIME. */
static void a_system_without_that_clock_has_the_other(void)
{
    set_context("set", "no CLOCK_BOOTTIME");
    has_boottime = 0;
    set_and_wait(1, 0, LARDER_OK);
    set_and_wait(2, 0, LARDER_NOT_FOUND);
    set_and_wait(0, 1000, LARDER_OK);
    has_boottime = 1;
}

static void a_pool_has_the_same_clock(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_pool *pool = NULL;
    larder_block block;
    CHECK_STATUS(larder_pool_init(region.memory, region.size, NULL, &pool), LARDER_OK);
    CHECK_STATUS(larder_pool_alloc(pool, 10, &block), LARDER_OK);
#ifdef __linux__
    CHECK(block.allocated_at_ms == (uint64_t)(monotonic_s + suspended_s) * 1000 + 999);
#endif
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    time_runs_in_suspend();
    a_system_without_that_clock_has_the_other();
    a_pool_has_the_same_clock();
    return check_end("behaviour_clock");
}
