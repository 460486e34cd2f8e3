/* bad_input_structs.c: structures with a size field: the contents of their initializers, and all values of the size
 * field of statistics. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024 };

static larder_cache *the_cache;
static larder_pool *the_pool;

static union {
    unsigned char bytes[1024];
    uint64_t aligned;
} out;

/* ---- statistics ---- */

static larder_status cache_stats(void *stats)
{
    return larder_cache_stats(the_cache, (larder_cache_stats_t *)stats);
}

static larder_status class_stats(void *stats)
{
    return larder_cache_class_stats(the_cache, 0, (larder_class_stats *)stats);
}

static larder_status limits(void *stats)
{
    return larder_cache_limits(the_cache, (larder_cache_limits_t *)stats);
}

static larder_status pool_stats(void *stats)
{
    return larder_pool_stats(the_pool, (larder_pool_stats_t *)stats);
}

static const larder_cache_stats_t cache_stats_init = LARDER_CACHE_STATS_INIT;
static const larder_class_stats class_stats_init = LARDER_CLASS_STATS_INIT;
static const larder_cache_limits_t limits_init = LARDER_CACHE_LIMITS_INIT;
static const larder_pool_stats_t pool_stats_init = LARDER_POOL_STATS_INIT;

static const struct sized_call {
    const char *name;
    larder_status (*call)(void *stats);
    const void *initializer;
    size_t size, older_sizes[3]; /* 0: there is no older version */
} sized_calls[] = {
    {"cache_stats", cache_stats, &cache_stats_init, sizeof cache_stats_init,
     {offsetof(larder_cache_stats_t, failed_corrupt), offsetof(larder_cache_stats_t, dead_bytes),
      offsetof(larder_cache_stats_t, evicted_unread)}},
    {"cache_class_stats", class_stats, &class_stats_init, sizeof class_stats_init,
     {offsetof(larder_class_stats, expirations), 0, 0}},
    {"cache_limits", limits, &limits_init, sizeof limits_init, {0, 0, 0}},
    {"pool_stats", pool_stats, &pool_stats_init, sizeof pool_stats_init, {0, 0, 0}},
};

static void check_size(const struct sized_call *c, uint32_t size, const unsigned char *whole)
{
    int is_older = size > 0 && (size == c->older_sizes[0] || size == c->older_sizes[1] || size == c->older_sizes[2]);
    int is_known = size == c->size || is_older;
    larder_status refusal = size > c->size ? LARDER_VERSION_MISMATCH : LARDER_INVALID;
    size_t written = is_known ? size : 0;
    memset(out.bytes, DIRT_BYTE, sizeof out.bytes);
    memcpy(out.bytes, &size, sizeof size);
    CHECK_STATUS(c->call(out.bytes), is_known ? LARDER_OK : refusal);
    CHECK(memcmp(out.bytes, &size, sizeof size) == 0);
    if (is_known && sizeof(void *) == 8) /* then there is no padding */
        CHECK(memcmp(out.bytes + sizeof size, whole + sizeof size, written - sizeof size) == 0);
    size_t from = is_known ? written : sizeof size;
    CHECK(all_bytes_are(out.bytes + from, sizeof out.bytes - from, DIRT_BYTE));
}

/* Any other size is a random value, for instance another structure's bytes. */
static void statistics_of_every_size(const struct sized_call *c)
{
    static union {
        unsigned char bytes[1024];
        uint64_t aligned;
    } whole;
    set_context(c->name, "struct_size");
    memcpy(whole.bytes, c->initializer, c->size);
    CHECK_STATUS(c->call(whole.bytes), LARDER_OK);
    for (uint32_t size = 0; size <= c->size + 16; size++)
        check_size(c, size, whole.bytes);
    check_size(c, UINT32_MAX, whole.bytes);
    check_size(c, UINT32_C(0xA5A5A5A5), whole.bytes);
}

/* ---- configurations ---- */

static void initializers_are_the_defaults(void)
{
    larder_cache_config cache_config = LARDER_CACHE_CONFIG_INIT;
    larder_pool_config pool_config = LARDER_POOL_CONFIG_INIT;
    larder_monitor_config monitor_config = LARDER_MONITOR_CONFIG_INIT, monitor_defaults;
    larder_monitor monitor;
    set_context("config", "initializer");
    CHECK(cache_config.struct_size == sizeof cache_config && cache_config.abi_version == 1);
    CHECK(pool_config.struct_size == sizeof pool_config && pool_config.abi_version == 1);
    CHECK_STATUS(larder_monitor_config_init(&monitor_defaults, sizeof monitor_defaults), LARDER_OK);
    CHECK(monitor_config.struct_size == sizeof monitor_config && monitor_config.abi_version == 1);
    CHECK(monitor_config.interval_ms == monitor_defaults.interval_ms);
    CHECK(monitor_config.high_percent == monitor_defaults.high_percent);
    CHECK(monitor_config.low_percent == monitor_defaults.low_percent);
    CHECK(monitor_config.step_max == monitor_defaults.step_max && monitor_config.on_report == NULL);

    struct region region = region_new(REGION_SIZE);
    CHECK_STATUS(larder_pool_init(region.memory, region.size, &pool_config, &the_pool), LARDER_OK);
    the_cache = cache_new(&region, &cache_config);
    CHECK_STATUS(larder_monitor_init(&monitor, the_cache, &monitor_config), LARDER_OK);
    region_free(&region);
}

/* Compares byte by byte where there is no padding. */
static void initializers_equal_config_init(void)
{
    static const larder_cache_config cache_config = LARDER_CACHE_CONFIG_INIT;
    static const larder_pool_config pool_config = LARDER_POOL_CONFIG_INIT;
    static const larder_monitor_config monitor_config = LARDER_MONITOR_CONFIG_INIT;
    larder_cache_config cache_written;
    larder_pool_config pool_written;
    larder_monitor_config monitor_written;
    if (sizeof(void *) != 8)
        return;
    CHECK_STATUS(larder_cache_config_init(&cache_written, sizeof cache_written), LARDER_OK);
    CHECK(memcmp(&cache_written, &cache_config, sizeof cache_config) == 0);
    CHECK_STATUS(larder_pool_config_init(&pool_written, sizeof pool_written), LARDER_OK);
    CHECK(memcmp(&pool_written, &pool_config, sizeof pool_config) == 0);
    CHECK_STATUS(larder_monitor_config_init(&monitor_written, sizeof monitor_written), LARDER_OK);
    CHECK(memcmp(&monitor_written, &monitor_config, sizeof monitor_config) == 0);
}

/* ---- statistics as text ---- */

static void prints_of_nothing(void)
{
    static const uint32_t unknown[] = {3, 4, 255, 256, UINT32_C(0x80000000), UINT32_MAX};
    char buffer[64];
    size_t len = 77;
    set_context("stats_print", "bad arguments");
    memset(buffer, DIRT_BYTE, sizeof buffer);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        CHECK_STATUS(larder_cache_stats_print(the_cache, unknown[i], buffer, sizeof buffer, &len), LARDER_INVALID);
        CHECK_STATUS(larder_cache_stats_print(the_cache, unknown[i], NULL, 0, &len), LARDER_INVALID);
    }
    for (uint32_t format = LARDER_FORMAT_TEXT; format <= LARDER_FORMAT_PROMETHEUS; format++) {
        CHECK_STATUS(larder_cache_stats_print(NULL, format, buffer, sizeof buffer, &len), LARDER_INVALID);
        CHECK_STATUS(larder_cache_stats_print(the_cache, format, NULL, 1, &len), LARDER_INVALID);
        CHECK_STATUS(larder_cache_stats_print(the_cache, format, NULL, SIZE_MAX, &len), LARDER_INVALID);
        CHECK_STATUS(larder_cache_stats_print(the_cache, format, buffer, sizeof buffer, NULL), LARDER_INVALID);
        CHECK_STATUS(larder_cache_stats_print(the_cache, format, NULL, 0, NULL), LARDER_INVALID);
    }
    CHECK(len == 77);
    CHECK(all_bytes_are(buffer, sizeof buffer, DIRT_BYTE));

    /* a capacity beyond the end of memory is as good as enough */
    static char enough[LARDER_STATS_PRINT_MAX];
    CHECK_STATUS(larder_cache_stats_print(the_cache, LARDER_FORMAT_JSON, enough, SIZE_MAX, &len), LARDER_OK);
    CHECK(len == strlen(enough));
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    initializers_are_the_defaults();
    initializers_equal_config_init();
    struct region region = region_new(REGION_SIZE), pool_region = region_new(REGION_SIZE);
    uint64_t now_ms = 1000; /* the longest TTL does not change between two calls */
    larder_cache_config config = config_with_clock(&now_ms);
    the_cache = cache_new(&region, &config);
    CHECK_STATUS(larder_pool_init(pool_region.memory, pool_region.size, NULL, &the_pool), LARDER_OK);
    for (size_t i = 0; i < sizeof sized_calls / sizeof sized_calls[0]; i++)
        statistics_of_every_size(&sized_calls[i]);
    prints_of_nothing();
    region_free(&region);
    region_free(&pool_region);
    return check_end("bad_input_structs");
}
