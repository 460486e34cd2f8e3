/* behaviour_cache.c: set, get and the other verbs; typed values, time, large values and scans. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024, HOUR_MS = 3600 * 1000 };

static unsigned char long_bytes[1024 * 1024];
static unsigned char read_bytes[sizeof long_bytes];

static void fill_pattern(unsigned char *bytes, size_t size, uint64_t seed)
{
    uint64_t random = seed * 2 + 1;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(next_random(&random) >> 32);
}

/* Checks that the value of a key is exactly these bytes. */
static void check_value(larder_cache *cache, const void *key, size_t key_len, const void *value, size_t value_len)
{
    size_t len = value_len + 1;
    if (!CHECK_STATUS(larder_cache_get(cache, key, key_len, read_bytes, sizeof read_bytes, &len), LARDER_OK))
        return;
    CHECK(len == value_len);
    CHECK(len != value_len || len == 0 || memcmp(read_bytes, value, value_len) == 0);
}

/* A get returns the bytes that were set, for all sizes of values and all bytes in keys, after updates of any size. */
static void values_are_read_back(void)
{
    static const size_t sizes[] = {10, 0, 1, 3, 4, 5, 500, 499, 2000, 100, 8000, 7, 0, 64, 1, 3000};
    struct region region = region_new(4 * REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    check_cache(cache, &region);
    CHECK(larder_cache_item_count(cache) == 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fill_pattern(long_bytes, sizes[i], i);
        CHECK_STATUS(larder_cache_set(cache, "key", 3, long_bytes, sizes[i], 0), LARDER_OK);
        check_value(cache, "key", 3, long_bytes, sizes[i]);
        CHECK(larder_cache_item_count(cache) == 1);
        CHECK(stats_of(cache).payload_bytes >= sizes[i]);
        check_cache(cache, &region);
    }
    CHECK(stats_of(cache).updates == sizeof sizes / sizeof sizes[0] - 1);

    unsigned char key[255];
    fill_pattern(key, sizeof key, 99);
    for (size_t len = 1; len <= sizeof key; len++) {
        CHECK_STATUS(larder_cache_set(cache, key, len, &len, sizeof len, 0), LARDER_OK);
        check_value(cache, key, len, &len, sizeof len);
        check_cache(cache, &region);
    }
    for (size_t len = 1; len <= sizeof key; len++)
        check_value(cache, key, len, &len, sizeof len);
    CHECK(larder_cache_item_count(cache) == 256);

    /* keys are bytes: a NUL is one of them */
    CHECK_STATUS(larder_cache_set(cache, "a\0b", 3, "1", 1, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "a\0c", 3, "2", 1, 0), LARDER_OK);
    check_value(cache, "a\0b", 3, "1", 1);
    check_value(cache, "a\0c", 3, "2", 1);
    check_cache(cache, &region);
    region_free(&region);
}

static void verbs_have_their_effects(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);

    CHECK_STATUS(larder_cache_add(cache, "a", 1, "first", 5, 0), LARDER_OK);
    check_cache(cache, &region);
    CHECK_STATUS(larder_cache_add(cache, "a", 1, "second", 6, 0), LARDER_EXISTS);
    check_value(cache, "a", 1, "first", 5);
    check_cache(cache, &region);

    CHECK_STATUS(larder_cache_replace(cache, "b", 1, "value", 5, 0), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_contains(cache, "b", 1), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_replace(cache, "a", 1, "third", 5, 0), LARDER_OK);
    check_value(cache, "a", 1, "third", 5);
    check_cache(cache, &region);

    CHECK_STATUS(larder_cache_contains(cache, "a", 1), LARDER_OK);
    CHECK_STATUS(larder_cache_delete(cache, "a", 1), LARDER_OK);
    check_cache(cache, &region);
    CHECK_STATUS(larder_cache_contains(cache, "a", 1), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_delete(cache, "a", 1), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_touch(cache, "a", 1, 0), LARDER_NOT_FOUND);
    CHECK(larder_cache_item_count(cache) == 0);
    CHECK(stats_of(cache).payload_bytes == 0);

    CHECK_STATUS(larder_cache_add(cache, "a", 1, "fourth", 6, 0), LARDER_OK);
    check_value(cache, "a", 1, "fourth", 6);
    check_cache(cache, &region);

    for (int i = 0; i < 200; i++) {
        CHECK_STATUS(larder_cache_set(cache, &i, sizeof i, &i, sizeof i, 0), LARDER_OK);
        check_cache(cache, &region);
    }
    CHECK(larder_cache_item_count(cache) == 201);
    size_t usage = larder_cache_memory_usage(cache);
    CHECK_STATUS(larder_cache_clear(cache), LARDER_OK);
    check_cache(cache, &region);
    CHECK(larder_cache_item_count(cache) == 0);
    CHECK(larder_cache_memory_usage(cache) < usage);
    CHECK_STATUS(larder_cache_contains(cache, "a", 1), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_set(cache, "a", 1, "fifth", 5, 0), LARDER_OK);
    check_value(cache, "a", 1, "fifth", 5);
    check_cache(cache, &region);
    region_free(&region);
}

static void counters_count(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    unsigned char value[4];
    size_t len = 0;
    int64_t number = 0;
    CHECK_STATUS(larder_cache_set(cache, "a", 1, "12345", 5, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_get(cache, "a", 1, read_bytes, sizeof read_bytes, &len), LARDER_OK);
    CHECK_STATUS(larder_cache_get(cache, "b", 1, read_bytes, sizeof read_bytes, &len), LARDER_NOT_FOUND);
    larder_cache_stats_t stats = stats_of(cache);
    CHECK(stats.sets == 1 && stats.updates == 0 && stats.hits == 1 && stats.misses == 1 && stats.deletes == 0);

    CHECK_STATUS(larder_cache_get(cache, "a", 1, value, sizeof value, &len), LARDER_BUFFER_TOO_SMALL);
    CHECK_STATUS(larder_cache_add(cache, "a", 1, "", 0, 0), LARDER_EXISTS);
    CHECK_STATUS(larder_cache_get_i64(cache, "a", 1, &number), LARDER_TYPE_MISMATCH);
    CHECK_STATUS(larder_cache_set(cache, "a", 1, long_bytes, REGION_SIZE, 0), LARDER_TOO_LARGE);
    stats = stats_of(cache);
    CHECK(stats.failed_buffer_too_small == 1);
    CHECK(stats.failed_exists == 1);
    CHECK(stats.failed_type_mismatch == 1);
    CHECK(stats.failed_too_large == 1);
    CHECK(stats.failed_no_memory == 0 && stats.failed_busy == 0);

    CHECK_STATUS(larder_cache_delete(cache, "a", 1), LARDER_OK);
    CHECK_STATUS(larder_cache_delete(cache, "a", 1), LARDER_NOT_FOUND);
    stats = stats_of(cache);
    CHECK(stats.deletes == 1 && stats.evictions == 0 && stats.expirations == 0);
    CHECK(stats.struct_size == sizeof stats && stats.abi_version == 1);
    CHECK(stats.shards == 1 && stats.page_size > 0 && stats.page_count > 0 && stats.pages_free <= stats.page_count);
    CHECK(stats.total_allocated > 0 && stats.total_allocated <= stats.region_bytes);
    CHECK(stats.memory_pressure <= 100);
    uint64_t percent = stats.total_used * 100 / stats.limit_bytes;
    CHECK(stats.memory_pressure >= percent && stats.memory_pressure <= percent + 1);
    region_free(&region);
}

static void numbers_and_texts_keep_their_type(void)
{
    static const int64_t i64s[] = {0, 1, -1, 41, INT64_MAX, INT64_MIN};
    static const uint64_t u64s[] = {0, 1, UINT64_C(1) << 63, UINT64_MAX};
    static const double f64s[] = {0.0, -0.0, 1.5, -1e308, 5e-324};
    static const char *const texts[] = {"", "a", "larder", "a text that is longer than a word or two"};
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    int32_t type = -1;

    for (size_t i = 0; i < sizeof i64s / sizeof i64s[0]; i++) {
        int64_t got = 7;
        CHECK_STATUS(larder_cache_set_i64(cache, "n", 1, i64s[i], 0), LARDER_OK);
        CHECK_STATUS(larder_cache_get_i64(cache, "n", 1, &got), LARDER_OK);
        CHECK(got == i64s[i]);
        CHECK_STATUS(larder_cache_type(cache, "n", 1, &type), LARDER_OK);
        CHECK(type == LARDER_TYPE_I64);
        check_value(cache, "n", 1, &got, sizeof got);
        check_cache(cache, &region);
    }
    for (size_t i = 0; i < sizeof u64s / sizeof u64s[0]; i++) {
        uint64_t got = 7;
        CHECK_STATUS(larder_cache_set_u64(cache, "n", 1, u64s[i], 0), LARDER_OK);
        CHECK_STATUS(larder_cache_get_u64(cache, "n", 1, &got), LARDER_OK);
        CHECK(got == u64s[i]);
        CHECK_STATUS(larder_cache_type(cache, "n", 1, &type), LARDER_OK);
        CHECK(type == LARDER_TYPE_U64);
        check_value(cache, "n", 1, &got, sizeof got);
        check_cache(cache, &region);
    }
    for (size_t i = 0; i < sizeof f64s / sizeof f64s[0]; i++) {
        double got = 7;
        CHECK_STATUS(larder_cache_set_f64(cache, "n", 1, f64s[i], 0), LARDER_OK);
        CHECK_STATUS(larder_cache_get_f64(cache, "n", 1, &got), LARDER_OK);
        /* All bits must be equal: NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
        CHECK(memcmp(&got, &f64s[i], sizeof got) == 0);
        CHECK_STATUS(larder_cache_type(cache, "n", 1, &type), LARDER_OK);
        CHECK(type == LARDER_TYPE_F64);
        check_value(cache, "n", 1, &got, sizeof got);
        check_cache(cache, &region);
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char got[64];
        size_t len = 99, size = strlen(texts[i]);
        CHECK_STATUS(larder_cache_set_str(cache, "n", 1, texts[i], 0), LARDER_OK);
        CHECK_STATUS(larder_cache_get_str(cache, "n", 1, got, size + 1, &len), LARDER_OK);
        CHECK(len == size && strcmp(got, texts[i]) == 0);
        CHECK_STATUS(larder_cache_type(cache, "n", 1, &type), LARDER_OK);
        CHECK(type == LARDER_TYPE_STR);
        check_value(cache, "n", 1, texts[i], size);
        check_cache(cache, &region);
    }
    CHECK_STATUS(larder_cache_set(cache, "n", 1, "b", 1, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_type(cache, "n", 1, &type), LARDER_OK);
    CHECK(type == LARDER_TYPE_BYTES);
    CHECK(larder_cache_item_count(cache) == 1);

    int64_t number = 0;
    CHECK_STATUS(larder_cache_set_i64(cache, "i", 1, 40, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_increment(cache, "i", 1, 2, &number), LARDER_OK);
    CHECK(number == 42);
    CHECK_STATUS(larder_cache_increment(cache, "i", 1, -50, &number), LARDER_OK);
    CHECK(number == -8);
    CHECK_STATUS(larder_cache_increment(cache, "i", 1, 0, &number), LARDER_OK);
    CHECK(number == -8);
    CHECK_STATUS(larder_cache_increment(cache, "i", 1, INT64_MAX, &number), LARDER_OK);
    CHECK(number == INT64_MAX - 8);
    CHECK_STATUS(larder_cache_get_i64(cache, "i", 1, &number), LARDER_OK);
    CHECK(number == INT64_MAX - 8);
    check_cache(cache, &region);
    region_free(&region);
}

/* ---- time ---- */

static void items_expire_on_time(void)
{
    struct region region = region_new(REGION_SIZE);
    uint64_t now_ms = UINT64_C(1700000000000), ttl_ms = 7;
    larder_cache_config config = config_with_clock(&now_ms);
    config.default_ttl_ms = 2 * HOUR_MS;
    larder_cache *cache = cache_new(&region, &config);

    CHECK_STATUS(larder_cache_set(cache, "one", 3, "1", 1, HOUR_MS), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "default", 7, "2", 1, LARDER_TTL_DEFAULT), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "never", 5, "n", 1, LARDER_TTL_NEVER), LARDER_OK);
    CHECK_STATUS(larder_cache_ttl(cache, "one", 3, &ttl_ms), LARDER_OK);
    CHECK(ttl_ms <= HOUR_MS && ttl_ms >= HOUR_MS - 2000);
    CHECK_STATUS(larder_cache_ttl(cache, "default", 7, &ttl_ms), LARDER_OK);
    CHECK(ttl_ms <= 2 * HOUR_MS && ttl_ms >= 2 * HOUR_MS - 2000);
    CHECK_STATUS(larder_cache_ttl(cache, "never", 5, &ttl_ms), LARDER_OK);
    CHECK(ttl_ms == UINT64_MAX);

    now_ms += HOUR_MS / 2;
    check_value(cache, "one", 3, "1", 1);
    CHECK_STATUS(larder_cache_ttl(cache, "one", 3, &ttl_ms), LARDER_OK);
    CHECK(ttl_ms <= HOUR_MS / 2 && ttl_ms >= HOUR_MS / 2 - 2000);

    now_ms += HOUR_MS / 2;
    ttl_ms = 7;
    size_t len = 7;
    CHECK_STATUS(larder_cache_get(cache, "one", 3, read_bytes, sizeof read_bytes, &len), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_contains(cache, "one", 3), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_ttl(cache, "one", 3, &ttl_ms), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_touch(cache, "one", 3, HOUR_MS), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_replace(cache, "one", 3, "x", 1, 0), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_delete(cache, "one", 3), LARDER_NOT_FOUND);
    CHECK(len == 7 && ttl_ms == 7);
    check_cache(cache, &region);
    CHECK_STATUS(larder_cache_add(cache, "one", 3, "again", 5, HOUR_MS), LARDER_OK);
    check_value(cache, "one", 3, "again", 5);
    check_cache(cache, &region);

    now_ms += HOUR_MS;
    CHECK_STATUS(larder_cache_contains(cache, "default", 7), LARDER_NOT_FOUND);
    check_value(cache, "never", 5, "n", 1);
    now_ms += UINT64_C(1000) * 24 * HOUR_MS;
    check_value(cache, "never", 5, "n", 1);
    check_cache(cache, &region);
    region_free(&region);
}

static void touch_and_set_move_the_expiry(void)
{
    struct region region = region_new(REGION_SIZE);
    uint64_t now_ms = 5000, ttl_ms = 0;
    larder_cache_config config = config_with_clock(&now_ms);
    larder_cache *cache = cache_new(&region, &config);
    CHECK_STATUS(larder_cache_set(cache, "a", 1, "1", 1, HOUR_MS), LARDER_OK);
    CHECK_STATUS(larder_cache_touch(cache, "a", 1, 3 * HOUR_MS), LARDER_OK);
    check_cache(cache, &region);
    now_ms += 2 * HOUR_MS;
    check_value(cache, "a", 1, "1", 1);
    CHECK_STATUS(larder_cache_touch(cache, "a", 1, LARDER_TTL_NEVER), LARDER_OK);
    check_cache(cache, &region);
    CHECK_STATUS(larder_cache_ttl(cache, "a", 1, &ttl_ms), LARDER_OK);
    CHECK(ttl_ms == UINT64_MAX);
    now_ms += 10 * HOUR_MS;
    check_value(cache, "a", 1, "1", 1);
    CHECK_STATUS(larder_cache_touch(cache, "a", 1, HOUR_MS), LARDER_OK);
    check_cache(cache, &region);
    now_ms += HOUR_MS;
    CHECK_STATUS(larder_cache_contains(cache, "a", 1), LARDER_NOT_FOUND);

    CHECK_STATUS(larder_cache_set(cache, "b", 1, "1", 1, HOUR_MS), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "b", 1, "2", 1, 4 * HOUR_MS), LARDER_OK);
    now_ms += 3 * HOUR_MS;
    check_value(cache, "b", 1, "2", 1);
    CHECK_STATUS(larder_cache_set(cache, "b", 1, "3", 1, 0), LARDER_OK); /* no default: never */
    now_ms += UINT64_C(100) * 24 * HOUR_MS;
    check_value(cache, "b", 1, "3", 1);
    check_cache(cache, &region);
    region_free(&region);
}

/* If the clock steps back, no item is lost, and an item lives for at most its TTL from then on. */
static void clock_may_step_back(void)
{
    struct region region = region_new(REGION_SIZE);
    uint64_t now_ms = UINT64_C(1000) * HOUR_MS;
    larder_cache_config config = config_with_clock(&now_ms);
    larder_cache *cache = cache_new(&region, &config);
    CHECK_STATUS(larder_cache_set(cache, "a", 1, "1", 1, HOUR_MS), LARDER_OK);
    now_ms -= UINT64_C(500) * HOUR_MS;
    check_value(cache, "a", 1, "1", 1);
    CHECK_STATUS(larder_cache_set(cache, "b", 1, "2", 1, HOUR_MS), LARDER_OK);
    check_cache(cache, &region);
    now_ms += HOUR_MS / 2;
    check_value(cache, "a", 1, "1", 1);
    check_value(cache, "b", 1, "2", 1);
    now_ms += HOUR_MS / 2;
    CHECK_STATUS(larder_cache_contains(cache, "b", 1), LARDER_NOT_FOUND);
    now_ms += UINT64_C(500) * HOUR_MS;
    CHECK_STATUS(larder_cache_contains(cache, "a", 1), LARDER_NOT_FOUND);
    check_cache(cache, &region);

    CHECK_STATUS(larder_cache_set(cache, "c", 1, "3", 1, HOUR_MS), LARDER_OK);
    now_ms = 0;
    check_value(cache, "c", 1, "3", 1);
    now_ms = UINT64_MAX;
    CHECK_STATUS(larder_cache_contains(cache, "c", 1), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_set(cache, "d", 1, "4", 1, HOUR_MS), LARDER_OK);
    check_cache(cache, &region);
    region_free(&region);
}

static void time_can_be_set(void)
{
    struct region region = region_new(REGION_SIZE);
    uint64_t now_ms = UINT64_C(1) << 50;
    larder_cache *cache = cache_new(&region, NULL);
    CHECK_STATUS(larder_cache_set_time(cache, now_ms), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "a", 1, "1", 1, HOUR_MS), LARDER_OK);
    CHECK_STATUS(larder_cache_set_time(cache, now_ms + HOUR_MS / 2), LARDER_OK);
    check_value(cache, "a", 1, "1", 1);
    CHECK_STATUS(larder_cache_set_time(cache, now_ms + HOUR_MS), LARDER_OK);
    CHECK_STATUS(larder_cache_contains(cache, "a", 1), LARDER_NOT_FOUND);
    check_cache(cache, &region);
    region_free(&region);
}

static void item_info_tells_size_age_and_type(void)
{
    for (uint32_t flags = 0; flags <= LARDER_ITEM_TIMES; flags += LARDER_ITEM_TIMES) {
        struct region region = region_new(REGION_SIZE);
        uint64_t now_ms = UINT64_C(1700000000000);
        larder_cache_config config = config_with_clock(&now_ms);
        larder_item_info info;
        config.flags |= flags;
        larder_cache *cache = cache_new(&region, &config);
        CHECK_STATUS(larder_cache_set_str(cache, "key", 3, "a value", 3 * HOUR_MS), LARDER_OK);
        now_ms += HOUR_MS;
        memset(&info, DIRT_BYTE, sizeof info);
        CHECK_STATUS(larder_cache_item_info(cache, "key", 3, &info), LARDER_OK);
        CHECK(info.key == NULL && info.value == NULL);
        CHECK(info.key_len == 3 && info.value_len == 7);
        CHECK(info.memory >= 10 && info.memory < 1000);
        CHECK(info.type == LARDER_TYPE_STR);
        CHECK(info.ttl_ms <= 2 * HOUR_MS && info.ttl_ms >= 2 * HOUR_MS - 4000);
        if (flags)
            CHECK(info.age_ms <= HOUR_MS + 4000 && info.age_ms >= HOUR_MS - 4000);
        else
            CHECK(info.age_ms == UINT64_MAX);
        check_cache(cache, &region);
        region_free(&region);
    }
}

/* ---- large values ---- */

static void check_ranges(larder_cache *cache, const void *key, size_t key_len, size_t value_len, size_t piece)
{
    size_t at = 0, len = 0;
    int same = 1;
    while (at < value_len) {
        if (!CHECK_STATUS(larder_cache_get_range(cache, key, key_len, at, read_bytes, piece, &len), LARDER_OK))
            return;
        size_t want = value_len - at < piece ? value_len - at : piece;
        if (!CHECK(len == want))
            return;
        same &= memcmp(read_bytes, long_bytes + at, len) == 0;
        at += len;
    }
    CHECK(same);
    CHECK_STATUS(larder_cache_get_range(cache, key, key_len, value_len, read_bytes, piece, &len), LARDER_OK);
    CHECK(len == 0);
    CHECK_STATUS(larder_cache_get_range(cache, key, key_len, value_len + 1, read_bytes, piece, &len), LARDER_INVALID);
}

static void large_values_are_stored(void)
{
    enum { LARGE_REGION_SIZE = 1024 * 1024 };
    struct region region = region_new(LARGE_REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    size_t quarter = larder_cache_memory_limit(cache) / 4;
    size_t sizes[] = {4096, 10000, 65536, 100001, quarter - 1, quarter, 20, quarter / 2, 0, quarter};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fill_pattern(long_bytes, sizes[i], i);
        CHECK_STATUS(larder_cache_set(cache, "large", 5, long_bytes, sizes[i], 0), LARDER_OK);
        check_cache(cache, &region);
        check_value(cache, "large", 5, long_bytes, sizes[i]);
        check_ranges(cache, "large", 5, sizes[i], 4096);
        check_ranges(cache, "large", 5, sizes[i], 1013);
        if (sizes[i] >= 100001)
            check_ranges(cache, "large", 5, sizes[i], sizeof read_bytes);
        size_t len = 0;
        if (sizes[i] > 0) {
            CHECK_STATUS(larder_cache_get(cache, "large", 5, read_bytes, sizes[i] - 1, &len), LARDER_BUFFER_TOO_SMALL);
            CHECK(len == sizes[i]);
        }
    }

    /* into a cache full of small items */
    int step = check_rounds(1, 8);
    for (int i = 0; i < 20000; i += step) {
        CHECK_STATUS(larder_cache_set(cache, &i, sizeof i, long_bytes, 40 + (size_t)(i % 50), 0), LARDER_OK);
        if (i % (64 * step) == 0)
            check_cache(cache, &region);
    }
    fill_pattern(long_bytes, quarter, 77);
    for (int i = 0; i < 6; i++) {
        char key[4] = {'l', (char)('0' + i), 0, 0};
        CHECK_STATUS(larder_cache_set(cache, key, 2, long_bytes, quarter, 0), LARDER_OK);
        check_value(cache, key, 2, long_bytes, quarter);
        check_cache(cache, &region);
    }
    CHECK(larder_cache_memory_usage(cache) <= LARGE_REGION_SIZE);

    /* and back to small ones */
    for (int i = 0; i < 20000; i += step) {
        CHECK_STATUS(larder_cache_set(cache, &i, sizeof i, &i, sizeof i, 0), LARDER_OK);
        check_value(cache, &i, sizeof i, &i, sizeof i);
        if (i % (64 * step) == 0)
            check_cache(cache, &region);
    }
    check_cache(cache, &region);
    region_free(&region);
}

/* ---- scans ---- */

enum { SCAN_ITEM_COUNT = 300 };

struct scan {
    int seen[SCAN_ITEM_COUNT];
    int visited, stop_every;
};

static int32_t visit(void *ctx, const larder_item_info *item)
{
    struct scan *scan = (struct scan *)ctx;
    int i = -1;
    unsigned char value[128];
    if (!CHECK(item->key_len == sizeof i && item->span_len <= item->value_len))
        return 1;
    memcpy(&i, item->key, sizeof i);
    if (!CHECK(i >= 0 && i < SCAN_ITEM_COUNT))
        return 1;
    size_t len = (size_t)(i % 100);
    fill_pattern(value, len, (uint64_t)i);
    CHECK(item->value_len == len);
    CHECK(item->span_len == 0 || memcmp(item->value, value, item->span_len) == 0);
    CHECK(item->type == LARDER_TYPE_BYTES);
    CHECK(item->memory >= item->key_len + item->span_len);
    CHECK(i % 2 ? item->ttl_ms == UINT64_MAX : item->ttl_ms <= HOUR_MS);
    scan->seen[i]++;
    scan->visited++;
    return scan->stop_every && scan->visited % scan->stop_every == 0;
}

static void scan_to_the_end(larder_cache *cache, struct scan *scan)
{
    larder_cursor cursor = {0};
    larder_status status = LARDER_AGAIN;
    for (int calls = 0; status == LARDER_AGAIN && calls < 1000 * 1000; calls++)
        status = larder_cache_scan(cache, &cursor, visit, scan);
    CHECK_STATUS(status, LARDER_OK);
}

static void scans_see_each_item_once(void)
{
    struct region region = region_new(REGION_SIZE);
    uint64_t now_ms = 1000;
    larder_cache_config config = config_with_clock(&now_ms);
    larder_cache *cache = cache_new(&region, &config);
    struct scan scan;
    memset(&scan, 0, sizeof scan);
    scan_to_the_end(cache, &scan);
    CHECK(scan.visited == 0);

    for (int i = 0; i < SCAN_ITEM_COUNT; i++) {
        fill_pattern(long_bytes, (size_t)(i % 100), (uint64_t)i);
        uint64_t ttl_ms = i % 2 ? LARDER_TTL_NEVER : HOUR_MS;
        CHECK_STATUS(larder_cache_set(cache, &i, sizeof i, long_bytes, (size_t)(i % 100), ttl_ms), LARDER_OK);
    }
    CHECK(stats_of(cache).evictions == 0);
    for (int stop_every = 0; stop_every < 20; stop_every++) {
        memset(&scan, 0, sizeof scan);
        scan.stop_every = stop_every;
        scan_to_the_end(cache, &scan);
        CHECK(scan.visited == SCAN_ITEM_COUNT);
        for (int i = 0; i < SCAN_ITEM_COUNT; i++)
            CHECK(scan.seen[i] == 1);
    }
    check_cache(cache, &region);

    /* expired items are not visited */
    now_ms += HOUR_MS;
    memset(&scan, 0, sizeof scan);
    scan_to_the_end(cache, &scan);
    CHECK(scan.visited == SCAN_ITEM_COUNT / 2);
    check_cache(cache, &region);
    region_free(&region);
}

struct reentry {
    larder_cache *cache;
    int visited;
};

static int32_t visit_and_reenter(void *ctx, const larder_item_info *item)
{
    struct reentry *reentry = (struct reentry *)ctx;
    larder_cache *cache = reentry->cache;
    larder_cursor cursor = {0};
    size_t len = 0;
    CHECK(item->key_len > 0);
    reentry->visited++;
    CHECK_STATUS(larder_cache_set(cache, "new", 3, "1", 1, 0), LARDER_BUSY);
    CHECK_STATUS(larder_cache_get(cache, "a", 1, read_bytes, sizeof read_bytes, &len), LARDER_BUSY);
    CHECK_STATUS(larder_cache_delete(cache, "a", 1), LARDER_BUSY);
    CHECK_STATUS(larder_cache_clear(cache), LARDER_BUSY);
    CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_BUSY);
    CHECK_STATUS(larder_cache_scan(cache, &cursor, visit_and_reenter, ctx), LARDER_BUSY);
    return 0;
}

static void scan_callback_that_reenters_is_busy(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    struct reentry reentry = {cache, 0};
    larder_cursor cursor = {0};
    CHECK_STATUS(larder_cache_set(cache, "a", 1, "1", 1, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "b", 1, "2", 1, 0), LARDER_OK);
    larder_status status = LARDER_AGAIN;
    while (status == LARDER_AGAIN)
        status = larder_cache_scan(cache, &cursor, visit_and_reenter, &reentry);
    CHECK_STATUS(status, LARDER_OK);
    CHECK(reentry.visited == 2);
    CHECK(larder_cache_item_count(cache) == 2);
    check_value(cache, "a", 1, "1", 1);
    CHECK_STATUS(larder_cache_set(cache, "new", 3, "1", 1, 0), LARDER_OK);
    check_cache(cache, &region);
    region_free(&region);
}

/* ---- owners and pages ---- */

enum { OWNERS = LARDER_OWNER_FREE + 1, MAP_REGION_SIZE = 512 * 1024 };

struct map_case {
    const char *name;
    uint32_t shards, policy, flags;
    size_t limit_percent;
};

static const struct map_case map_cases[] = {
    {"defaults", 0, LARDER_POLICY_DEFAULT, 0, 100},
    {"LRU", 0, LARDER_POLICY_LRU, 0, 100},
    {"times, zeroed bytes", 0, LARDER_POLICY_DEFAULT, LARDER_ITEM_TIMES | LARDER_ZERO_ON_FREE, 100},
    {"four shards", 4, LARDER_POLICY_DEFAULT, 0, 100},
    {"four shards, LRU, half the region", 4, LARDER_POLICY_LRU, 0, 50},
    {"a quarter of the region", 0, LARDER_POLICY_DEFAULT, 0, 25},
};

/* Pages and live bytes of each owner, counted page by page. */
struct page_sums {
    uint64_t pages[OWNERS], live_bytes[OWNERS], count, touched;
};

static struct page_sums count_pages(const larder_cache *cache, uint64_t page_size)
{
    struct page_sums sums;
    larder_page_info page;
    memset(&sums, 0, sizeof sums);
    while (larder_cache_page_info(cache, (uint32_t)sums.count, &page) == LARDER_OK) {
        sums.count++;
        sums.touched += page.touched;
        CHECK(page.touched <= 1 && page.slots * UINT64_C(4) == page_size);
        if (!CHECK(page.class_index < OWNERS))
            continue;
        if (page.class_index == LARDER_PAGE_FREE)
            CHECK(page.slots_used == 0);
        else
            CHECK(page.touched == 1 && page.slots_used > 0 && page.slots_used <= page.slots);
        sums.pages[page.class_index]++;
        sums.live_bytes[page.class_index] += page.slots_used * UINT64_C(4);
    }
    return sums;
}

/* Checks that the owners' numbers equal the sums over their pages, and agree with the statistics. */
static void check_owners_and_pages(const larder_cache *cache)
{
    larder_cache_stats_t stats = stats_of(cache);
    uint64_t page_size = stats.page_size, pages = 0, live = 0, dead = 0, evictions = 0;
    struct page_sums sums = count_pages(cache, page_size);
    larder_class_stats one = LARDER_CLASS_STATS_INIT;
    for (uint32_t owner = 0; owner < OWNERS; owner++) {
        CHECK_STATUS(larder_cache_class_stats(cache, owner, &one), LARDER_OK);
        CHECK(one.struct_size == sizeof one && one.kind == owner);
        CHECK(one.slot_size == page_size && one.slots_per_page == 1);
        CHECK(one.pages == sums.pages[owner] && one.live_bytes == sums.live_bytes[owner]);
        CHECK(one.live_bytes + one.free_bytes + one.waste_bytes == one.pages * page_size);
        CHECK(one.slots_free == (owner == LARDER_OWNER_FREE ? one.pages : 0));
        CHECK(owner != LARDER_OWNER_INDEX || (one.free_bytes == 0 && one.waste_bytes == 0));
        CHECK(owner != LARDER_OWNER_FREE || (one.live_bytes == 0 && one.waste_bytes == 0));
        if (owner == LARDER_OWNER_WINDOW || owner == LARDER_OWNER_MAIN) {
            CHECK(one.slots_used > 0 || one.live_bytes == 0);
            live += one.slots_used;
        } else {
            CHECK(one.slots_used == 0 && one.evictions == 0);
        }
        pages += one.pages;
        dead += one.waste_bytes;
        evictions += one.evictions;
    }
    CHECK_STATUS(larder_cache_class_stats(cache, OWNERS, &one), LARDER_NOT_FOUND);
    CHECK(live == stats.item_count + stats.reservations);
    CHECK(pages == stats.page_count && pages == sums.count && sums.pages[LARDER_OWNER_FREE] == stats.pages_free);
    CHECK(evictions == stats.evictions && dead == stats.dead_bytes);
    /* Used bytes: fixed parts, pages of the index, live bytes. All others of the region are free. */
    uint64_t fixed = stats.region_bytes - pages * page_size;
    CHECK(stats.total_used == fixed + sums.live_bytes[LARDER_OWNER_WINDOW] + sums.live_bytes[LARDER_OWNER_MAIN] +
                                  sums.live_bytes[LARDER_OWNER_INDEX]);
    CHECK(stats.total_used == stats.region_bytes - stats.free_bytes);
    CHECK(stats.total_allocated == fixed + sums.touched * page_size);
    CHECK(stats.payload_bytes <= sums.live_bytes[LARDER_OWNER_WINDOW] + sums.live_bytes[LARDER_OWNER_MAIN]);
}

/* Small values and chained ones, with short and long TTLs, are set, changed, deleted, expired and evicted. */
static void mix(larder_cache *cache, uint64_t *now_ms, uint64_t *random, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        uint32_t key = (uint32_t)(next_random(random) % 3000);
        uint64_t dice = next_random(random) % 100;
        size_t size = (size_t)(next_random(random) % (dice < 60 ? 100 : dice < 75 ? 2000 : 20000));
        uint64_t ttl_ms = dice % 4 == 0 ? 1 + next_random(random) % HOUR_MS : LARDER_TTL_NEVER;
        size_t len = 0;
        larder_status status;
        *now_ms += next_random(random) % 4000;
        if (dice < 80)
            CHECK_STATUS(larder_cache_set(cache, &key, sizeof key, long_bytes, size, ttl_ms), LARDER_OK);
        else if (dice < 88)
            CHECK((status = larder_cache_delete(cache, &key, sizeof key)) == LARDER_OK || status == LARDER_NOT_FOUND);
        else if (dice < 92)
            CHECK((status = larder_cache_touch(cache, &key, sizeof key, HOUR_MS)) == LARDER_OK ||
                  status == LARDER_NOT_FOUND);
        else
            CHECK((status = larder_cache_get(cache, &key, sizeof key, read_bytes, sizeof read_bytes, &len)) ==
                      LARDER_OK ||
                  status == LARDER_NOT_FOUND);
        if (i % 100 == 0) {
            status = larder_cache_optimize(cache, (uint32_t)(next_random(random) % 200 + 1), NULL);
            CHECK(status == LARDER_OK || status == LARDER_AGAIN);
            check_owners_and_pages(cache);
        }
    }
}

static void owners_and_pages_add_up(void)
{
    for (size_t i = 0; i < sizeof map_cases / sizeof map_cases[0]; i++) {
        const struct map_case *c = &map_cases[i];
        struct region region = region_new(MAP_REGION_SIZE);
        uint64_t now_ms = 1000, random = 4711 + i;
        larder_cache_config config = config_with_clock(&now_ms);
        config.shards = c->shards;
        config.policy = c->policy;
        config.flags |= c->flags;
        larder_cache *cache = cache_new(&region, &config);
        set_context("class_stats, page_info", c->name);
        check_owners_and_pages(cache);
        mix(cache, &now_ms, &random, check_rounds(10000, 1000));
        CHECK(stats_of(cache).evictions > 0 && stats_of(cache).expirations > 0);
        check_cache(cache, &region);
        CHECK_STATUS(larder_cache_set_memory_limit(cache, MAP_REGION_SIZE / 100 * c->limit_percent), LARDER_OK);
        check_owners_and_pages(cache);
        mix(cache, &now_ms, &random, check_rounds(5000, 500));
        now_ms += HOUR_MS;
        CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_OK);
        check_owners_and_pages(cache);
        check_cache(cache, &region);
        uint64_t evictions = stats_of(cache).evictions;
        CHECK_STATUS(larder_cache_clear(cache), LARDER_OK);
        check_owners_and_pages(cache);
        CHECK(stats_of(cache).evictions == evictions);
        mix(cache, &now_ms, &random, check_rounds(1000, 100));
        check_owners_and_pages(cache);
        check_cache(cache, &region);
        region_free(&region);
    }
    set_context("", "");
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    values_are_read_back();
    verbs_have_their_effects();
    counters_count();
    numbers_and_texts_keep_their_type();
    items_expire_on_time();
    touch_and_set_move_the_expiry();
    clock_may_step_back();
    time_can_be_set();
    item_info_tells_size_age_and_type();
    large_values_are_stored();
    scans_see_each_item_once();
    scan_callback_that_reenters_is_busy();
    owners_and_pages_add_up();
    return check_end("behaviour_cache");
}
