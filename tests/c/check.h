/* check.h: a test harness in one header.
 *
 * CHECK counts. check_end prints "name: N passed, N failed" and returns main's exit code. A region is between
 * guard bytes, which are checked when the region is freed. The program's argument "quick" reduces the rounds. */
#ifndef LARDER_TESTS_CHECK_H
#define LARDER_TESTS_CHECK_H

#include <larder.h>

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __has_include
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif

#define CHECK(claim) check_claim((claim) ? 1 : 0, #claim, __FILE__, __LINE__)
#define CHECK_STATUS(call, want) check_status((call), (want), #call, __FILE__, __LINE__)

/* Stands for any error: no status is positive. */
#define ANY_ERROR 1

#define FAILURES_PRINTED_MAX 40
#define GUARD_SIZE 128
#define GUARD_BYTE 0xC3
#define DIRT_BYTE 0xA5

static unsigned long check_passed, check_failed;
static int check_quick;
static const char *check_context = "";

static inline void check_count(int holds)
{
    if (holds)
        check_passed++;
    else
        check_failed++;
}

static inline int check_is_printed(void)
{
    return check_failed <= FAILURES_PRINTED_MAX;
}

static inline int check_claim(int holds, const char *claim, const char *file, int line)
{
    check_count(holds);
    if (!holds && check_is_printed())
        fprintf(stderr, "%s:%d: does not hold: %s  %s\n", file, line, claim, check_context);
    return holds;
}

static inline int check_status(larder_status status, larder_status want, const char *call, const char *file, int line)
{
    int holds = want == ANY_ERROR ? status < 0 : status == want;
    check_count(holds);
    if (!holds && check_is_printed()) {
        const char *expected = want == ANY_ERROR ? "an error" : larder_strerror(want);
        fprintf(stderr, "%s:%d: status %" PRId32 " (%s), expected %s: %s  %s\n", file, line, status,
                larder_strerror(status), expected, call, check_context);
    }
    return holds;
}

static inline void check_begin(int argc, char **argv)
{
    check_quick = argc > 1 && strcmp(argv[1], "quick") == 0;
}

/* Sets the text that is printed behind failures. */
static inline void set_context(const char *call, const char *about)
{
    static char text[128];
    snprintf(text, sizeof text, "[%s: %s]", call, about);
    check_context = text;
}

static inline int check_rounds(int full, int quick)
{
    return check_quick ? quick : full;
}

static inline int check_end(const char *name)
{
    printf("%s: %lu passed, %lu failed\n", name, check_passed, check_failed);
    return check_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline int all_bytes_are(const void *bytes, size_t size, unsigned char byte)
{
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t i = 0; i < size; i++)
        if (p[i] != byte)
            return 0;
    return 1;
}

/* Memory for larder: aligned, filled with DIRT_BYTE, between guard bytes. */
struct region {
    unsigned char *whole, *memory;
    size_t size;
};

static inline struct region region_new(size_t size)
{
    struct region region;
    size_t whole_size = size + 3 * GUARD_SIZE;
    region.whole = (unsigned char *)malloc(whole_size);
    if (!region.whole) {
        fputs("the test program is out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    memset(region.whole, GUARD_BYTE, whole_size);
    size_t start = GUARD_SIZE + (GUARD_SIZE - (size_t)((uintptr_t)region.whole % GUARD_SIZE));
    region.memory = region.whole + start;
    region.size = size;
    memset(region.memory, DIRT_BYTE, size);
    return region;
}

static inline int region_guards_hold(const struct region *region)
{
    const unsigned char *end = region->memory + region->size;
    size_t before = (size_t)(region->memory - region->whole);
    size_t behind = 3 * GUARD_SIZE - before;
    return all_bytes_are(region->whole, before, GUARD_BYTE) && all_bytes_are(end, behind, GUARD_BYTE);
}

static inline void region_free(struct region *region)
{
    CHECK(region_guards_hold(region));
    free(region->whole);
    region->whole = region->memory = NULL;
}

/* Tells valgrind that padding in larder's structures is defined. Tests that compare whole regions need this. */
static inline void bytes_are_defined(const void *bytes, size_t size)
{
#ifdef VALGRIND_MAKE_MEM_DEFINED
    VALGRIND_MAKE_MEM_DEFINED(bytes, size);
#else
    (void)bytes;
    (void)size;
#endif
}

static inline int region_has(const struct region *region, const void *bytes, size_t size)
{
    const unsigned char *p = (const unsigned char *)bytes;
    return p >= region->memory && size <= region->size && (size_t)(p - region->memory) <= region->size - size;
}

/* The same numbers in every run (xorshift64*). */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* A clock hook: ctx points to the time. */
static inline uint64_t hook_now_ms(void *ctx)
{
    return *(const uint64_t *)ctx;
}

static inline larder_pool_stats_t pool_stats_of(const larder_pool *pool)
{
    larder_pool_stats_t stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = (uint32_t)sizeof stats;
    stats.abi_version = 1;
    CHECK_STATUS(larder_pool_stats(pool, &stats), LARDER_OK);
    return stats;
}

static inline larder_cache_config config_default(void)
{
    larder_cache_config config;
    CHECK_STATUS(larder_cache_config_init(&config, sizeof config), LARDER_OK);
    return config;
}

static inline larder_cache_config config_with_clock(uint64_t *now_ms)
{
    larder_cache_config config = config_default();
    config.now_ms = hook_now_ms;
    config.now_ctx = now_ms;
    return config;
}

static inline larder_cache *cache_new(const struct region *region, const larder_cache_config *config)
{
    larder_cache *cache = NULL;
    larder_status status = larder_cache_init(region->memory, region->size, config, &cache);
    if (!CHECK_STATUS(status, LARDER_OK) || !CHECK(cache != NULL))
        exit(check_end("cut short"));
    return cache;
}

static inline larder_cache_stats_t stats_of(const larder_cache *cache)
{
    larder_cache_stats_t stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = (uint32_t)sizeof stats;
    stats.abi_version = 1;
    CHECK_STATUS(larder_cache_stats(cache, &stats), LARDER_OK);
    return stats;
}

/* Checks what must hold after every call: every invariant, and the sums of bytes. */
static inline void check_cache(const larder_cache *cache, const struct region *region)
{
    larder_cache_stats_t stats = stats_of(cache);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    CHECK(stats.region_bytes == region->size);
    CHECK(stats.payload_bytes + stats.free_bytes + stats.overhead_bytes == stats.region_bytes);
    CHECK(stats.total_used == larder_cache_memory_usage(cache));
    CHECK(stats.limit_bytes == larder_cache_memory_limit(cache));
    CHECK(stats.item_count == larder_cache_item_count(cache));
    CHECK(stats.total_used <= stats.region_bytes);
    CHECK(stats.peak_used >= stats.total_used);
}

#endif
