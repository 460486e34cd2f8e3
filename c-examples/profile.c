/* profile.c: the use of a cache's bytes. Sets 10,000 items of 100 to 1,099 bytes in a region of 100 MiB, every second
 * one with a TTL of a second. Then the program's own clock advances by the second, optimize runs, and the memory of the
 * expired half must be free. Exit code 1 and a message if a promise does not hold.
 *
 * Build:  cc -std=c11 c-examples/profile.c -Iinclude target/lib/liblarder.a -lpthread -lm
 *
 * Prints a row for each 1,000 items, then two and a line for the optimization, with N for what depends on
 * the version:
 *    items    payload   overhead       free      usage pressure overhead/item
 *     1000          N          N          N          N       N%         N.N B
 *      ...
 *   before          N          N          N          N       N%         N.N B
 *    after          N          N          N          N       N%         N.N B
 * optimize: 5000 items expired, N moved, N pages and N bytes freed
 * all checks passed
 */
#define _POSIX_C_SOURCE 200809L

#include "example.h"

#include <inttypes.h>
#include <string.h>

#define REGION_SIZE (UINT32_C(100) << 20)
#define ITEM_COUNT 10000
#define ROW_EVERY 1000
#define VALUE_SIZE_MAX (100 + 999)
#define TTL_MS 1000

static uint64_t clock_now_ms;

/* The cache's clock. A host with a timer reads it here. This program sets the time itself and never sleeps. */
static uint64_t read_clock(void *ctx)
{
    return *(const uint64_t *)ctx;
}

static bool is_mortal(int i)
{
    return i % 2 == 1;
}

static size_t make_key(int i, char key[16])
{
    return (size_t)snprintf(key, 16, "key_%d", i);
}

/* Every byte of a value is a function of its number, so a hit can be compared in full. */
static size_t make_value(int i, unsigned char value[VALUE_SIZE_MAX])
{
    size_t size = 100 + (size_t)i % 1000;
    memset(value, 'a' + i % 26, size);
    memcpy(value, &i, sizeof i);
    return size;
}

static larder_cache *cache_new(void *region)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.now_ms = read_clock;
    config.now_ctx = &clock_now_ms;
    larder_cache *cache;
    must(larder_cache_init(region, REGION_SIZE, &config, &cache), "larder_cache_init");
    return cache;
}

static void set_item(larder_cache *cache, int i)
{
    char key[16];
    unsigned char value[VALUE_SIZE_MAX];
    size_t key_len = make_key(i, key);
    size_t value_len = make_value(i, value);
    uint64_t ttl_ms = is_mortal(i) ? TTL_MS : LARDER_TTL_NEVER;
    must(larder_cache_set(cache, key, key_len, value, value_len, ttl_ms), "larder_cache_set");
}

/* Checks that an expired item is a miss, and that any other item has the value set. */
static void check_item(larder_cache *cache, int i)
{
    char key[16];
    unsigned char expected[VALUE_SIZE_MAX], value[VALUE_SIZE_MAX];
    size_t key_len = make_key(i, key);
    size_t expected_len = make_value(i, expected);
    size_t value_len = 0;
    larder_status status = larder_cache_get(cache, key, key_len, value, sizeof value, &value_len);
    if (is_mortal(i)) {
        require(status == LARDER_NOT_FOUND, "an expired item is never returned");
        return;
    }
    must(status, "larder_cache_get");
    require(value_len == expected_len && memcmp(value, expected, value_len) == 0, "a hit is what was set");
}

static void print_row(const char *label, const larder_cache_stats_t *stats)
{
    printf("%8s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %7" PRIu32 "%% %11.1f B\n", label,
           stats->payload_bytes, stats->overhead_bytes, stats->free_bytes, stats->total_used,
           stats->memory_pressure, ratio((double)stats->overhead_bytes, (double)stats->item_count));
}

/* The statistics. Checks what holds at any time, in a full and in an empty cache. */
static larder_cache_stats_t checked_stats(const larder_cache *cache)
{
    larder_cache_stats_t stats = stats_of(cache);
    require(stats.memory_pressure <= 100, "pressure is at most 100%");
    require(stats.payload_bytes + stats.free_bytes + stats.overhead_bytes == stats.region_bytes,
            "payload + free + overhead is the region, to the byte");
    must(larder_cache_check(cache), "larder_cache_check");
    return stats;
}

static void fill(larder_cache *cache)
{
    printf("%8s %10s %10s %10s %10s %8s %13s\n", "items", "payload", "overhead", "free", "usage", "pressure",
           "overhead/item");
    for (int i = 0; i < ITEM_COUNT; i++) {
        set_item(cache, i);
        if ((i + 1) % ROW_EVERY != 0)
            continue;
        larder_cache_stats_t stats = checked_stats(cache);
        char label[24];
        snprintf(label, sizeof label, "%" PRIu64, stats.item_count);
        print_row(label, &stats);
    }
}

static void expire_and_optimize(larder_cache *cache)
{
    larder_cache_stats_t before = checked_stats(cache);
    require(before.item_count == ITEM_COUNT, "all items fit");

    clock_now_ms += TTL_MS + 1000; /* a second more than needed: the cache may round a TTL up */
    larder_optimize_report report;
    must(larder_cache_optimize(cache, 0, &report), "larder_cache_optimize");

    larder_cache_stats_t after = checked_stats(cache);
    putchar('\n');
    print_row("before", &before);
    print_row("after", &after);
    printf("optimize: %" PRIu64 " items expired, %" PRIu64 " moved, %" PRIu64 " pages and %" PRIu64
           " bytes freed\n",
           report.items_expired, report.items_moved, report.pages_freed, report.bytes_freed);

    require(after.total_used < before.total_used, "optimize lowers the used bytes");
    require(after.payload_bytes < before.payload_bytes, "optimize lowers the payload");
    require(after.item_count == ITEM_COUNT / 2, "half of the items are gone");
    require(report.bytes_freed > 0, "optimize reports what it freed");
}

int main(int argc, char **argv)
{
    read_arguments(argc, argv,
                   "usage: profile\n"
                   "\n"
                   "Shows where the bytes of a cache go while it fills, and after half of its items expired.\n",
                   NULL, 0, NULL);
    void *region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(region);
    fill(cache);
    expire_and_optimize(cache);
    for (int i = 0; i < ITEM_COUNT; i++)
        check_item(cache, i);
    puts("all checks passed");
    free(region);
    return EXIT_SUCCESS;
}
