/* behaviour_limit.c: the limit holds and can change, exact LRU evicts in order, required sizes are sufficient, and
 * optimize frees expired bytes. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024, LARGE_REGION_SIZE = 1024 * 1024, HOUR_MS = 3600 * 1000 };

static unsigned char value_bytes[20000];

static larder_status set_number(larder_cache *cache, uint64_t key, size_t value_len, uint64_t ttl_ms)
{
    return larder_cache_set(cache, &key, sizeof key, value_bytes, value_len, ttl_ms);
}

static larder_status get_number(larder_cache *cache, uint64_t key)
{
    unsigned char value[1024];
    size_t len;
    return larder_cache_get(cache, &key, sizeof key, value, sizeof value, &len);
}

/* Sets new keys from `first` until an item is evicted. Returns the key after the last one. */
static uint64_t fill(larder_cache *cache, uint64_t first, size_t value_len, uint64_t ttl_ms)
{
    uint64_t evictions = stats_of(cache).evictions, key = first;
    while (stats_of(cache).evictions == evictions && key < first + 100000)
        CHECK_STATUS(set_number(cache, key++, value_len, ttl_ms), LARDER_OK);
    return key;
}

/* ---- exact LRU ---- */

enum { KEY_COUNT = 6000 };

static uint64_t used_at[KEY_COUNT]; /* when each key was set or hit last; 0 = not in the cache */

static int32_t note_present(void *ctx, const larder_item_info *item)
{
    uint64_t key = KEY_COUNT;
    unsigned char *present = (unsigned char *)ctx;
    CHECK(item->key_len == sizeof key);
    memcpy(&key, item->key, sizeof key);
    if (CHECK(key < KEY_COUNT))
        present[key] = 1;
    return 0;
}

/* Checks that every item in the cache was used later than every item that was evicted. */
static void check_lru_order(larder_cache *cache)
{
    static unsigned char present[KEY_COUNT];
    memset(present, 0, sizeof present);
    larder_cursor cursor = {0};
    larder_status status = LARDER_AGAIN;
    while (status == LARDER_AGAIN)
        status = larder_cache_scan(cache, &cursor, note_present, present);
    CHECK_STATUS(status, LARDER_OK);

    uint64_t latest_absent = 0, earliest_present = UINT64_MAX;
    for (int key = 0; key < KEY_COUNT; key++) {
        if (!used_at[key])
            continue;
        if (!present[key] && used_at[key] > latest_absent)
            latest_absent = used_at[key];
        if (present[key] && used_at[key] < earliest_present)
            earliest_present = used_at[key];
    }
    CHECK(latest_absent < earliest_present);
}

static void lru_evicts_in_order(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache_config config = config_default();
    config.policy = LARDER_POLICY_LRU;
    larder_cache *cache = cache_new(&region, &config);
    CHECK(stats_of(cache).policy == LARDER_POLICY_LRU);
    uint64_t random = 3, time = 0, next = 0;
    memset(used_at, 0, sizeof used_at);

    for (int round = 0; next < KEY_COUNT && round < check_rounds(20000, 2500); round++) {
        uint64_t choice = next_random(&random);
        if (choice % 3 == 0) {
            CHECK_STATUS(set_number(cache, next, 64, 0), LARDER_OK);
            used_at[next++] = ++time;
        } else if (next > 0) {
            uint64_t key = next - 1 - (choice >> 8) % (next < 700 ? next : 700);
            if (get_number(cache, key) == LARDER_OK)
                used_at[key] = ++time;
        }
        if (round % 200 == 0) {
            check_lru_order(cache);
            check_cache(cache, &region);
        }
    }
    CHECK(stats_of(cache).evictions > 0);
    check_lru_order(cache);
    CHECK(stats_of(cache).evictions + larder_cache_item_count(cache) == next);
    region_free(&region);
}

/* ---- the limit ---- */

static void limit_holds_under_churn(void)
{
    static const size_t sizes[] = {10, 100, 32, 1000, 200, 64, 3, 400};
    static const uint32_t policies[] = {LARDER_POLICY_DEFAULT, LARDER_POLICY_LRU};
    for (size_t p = 0; p < 2; p++) {
        struct region region = region_new(LARGE_REGION_SIZE);
        larder_cache_config config = config_default();
        config.policy = policies[p];
        config.memory_limit = LARGE_REGION_SIZE / 2;
        larder_cache *cache = cache_new(&region, &config);
        CHECK(larder_cache_memory_limit(cache) == LARGE_REGION_SIZE / 2);
        uint64_t key = 0;
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            size_t rounds = (size_t)check_rounds(LARGE_REGION_SIZE, LARGE_REGION_SIZE / 8) / (sizes[s] + 20);
            for (size_t i = 0; i < rounds; i++) {
                CHECK_STATUS(set_number(cache, key, sizes[s], 0), LARDER_OK);
                CHECK_STATUS(get_number(cache, key), LARDER_OK);
                CHECK(larder_cache_memory_usage(cache) <= LARGE_REGION_SIZE / 2);
                if (++key % 256 == 0)
                    check_cache(cache, &region);
            }
        }
        larder_cache_stats_t stats = stats_of(cache);
        CHECK(stats.evictions > 0 && stats.failed_no_memory == 0);
        CHECK(stats.peak_used <= LARGE_REGION_SIZE / 2);
        region_free(&region);
    }
}

static void limit_moves_down_and_up(void)
{
    struct region region = region_new(LARGE_REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    CHECK(larder_cache_memory_limit(cache) == LARGE_REGION_SIZE);
    uint64_t key = fill(cache, 0, 100, 0), full_count = larder_cache_item_count(cache);
    check_cache(cache, &region);

    static const size_t limits[] = {LARGE_REGION_SIZE / 2, LARGE_REGION_SIZE / 4, LARGE_REGION_SIZE,
                                    LARGE_REGION_SIZE / 4};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        size_t limit = limits[i];
        CHECK_STATUS(larder_cache_set_memory_limit(cache, limit), LARDER_OK);
        CHECK(larder_cache_memory_limit(cache) == limit);
        check_cache(cache, &region);

        /* later calls reach the limit; any call of the host makes a slice */
        larder_status status = LARDER_AGAIN;
        larder_optimize_report report;
        memset(&report, 0, sizeof report);
        for (int calls = 0; status == LARDER_AGAIN && calls < 1000 * 1000; calls++) {
            status = larder_cache_optimize(cache, 16, &report);
            if (calls % 64 == 0)
                check_cache(cache, &region);
        }
        CHECK_STATUS(status, LARDER_OK);
        CHECK(report.done == 1);
        CHECK(larder_cache_memory_usage(cache) <= limit);
        CHECK(larder_cache_item_count(cache) > 0);
        check_cache(cache, &region);
        for (int j = 0; j < check_rounds(3000, 600); j++) {
            CHECK_STATUS(set_number(cache, key++, 100, 0), LARDER_OK);
            CHECK(larder_cache_memory_usage(cache) <= limit);
            if (j % 64 == 0)
                check_cache(cache, &region);
        }
    }
    CHECK(larder_cache_item_count(cache) < full_count / 2);

    /* sets alone reach a lower limit too */
    CHECK_STATUS(larder_cache_set_memory_limit(cache, LARGE_REGION_SIZE), LARDER_OK);
    key = fill(cache, key, 100, 0);
    CHECK(larder_cache_item_count(cache) >= full_count * 9 / 10);
    CHECK_STATUS(larder_cache_set_memory_limit(cache, LARGE_REGION_SIZE / 4), LARDER_OK);
    int calls = 0;
    while (larder_cache_memory_usage(cache) > LARGE_REGION_SIZE / 4 && calls++ < 100000)
        CHECK_STATUS(set_number(cache, key++, 100, 0), LARDER_OK);
    CHECK(larder_cache_memory_usage(cache) <= LARGE_REGION_SIZE / 4);
    check_cache(cache, &region);
    region_free(&region);
}

static void required_size_holds_its_items(void)
{
    static const struct {
        uint64_t items;
        size_t key_len, value_len;
    } cases[] = {{1, 8, 10}, {100, 8, 10}, {1000, 8, 100}, {500, 8, 1000}, {3, 8, 20000}, {5000, 8, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        larder_cache_config config = config_default();
        size_t size = 0;
        CHECK_STATUS(larder_cache_required_size(&config, cases[i].items, cases[i].key_len, cases[i].value_len, &size),
                     LARDER_OK);
        CHECK(size >= cases[i].items * (cases[i].key_len + cases[i].value_len));
        struct region region = region_new(size);
        larder_cache *cache = NULL;
        if (!CHECK_STATUS(larder_cache_init(region.memory, size, &config, &cache), LARDER_OK))
            continue;
        for (uint64_t key = 0; key < cases[i].items; key++)
            CHECK_STATUS(set_number(cache, key, cases[i].value_len, 0), LARDER_OK);
        CHECK(larder_cache_item_count(cache) == cases[i].items);
        CHECK(stats_of(cache).evictions == 0);
        CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
        region_free(&region);
    }
}

/* With a limit, the required size is the limit or an error, never a size that init refuses. */
static void required_size_keeps_to_the_limit(void)
{
    larder_cache_config config = config_default();
    size_t enough = 0, size = 77;
    CHECK_STATUS(larder_cache_required_size(&config, 5000, 16, 64, &enough), LARDER_OK);
    config.memory_limit = 64 * 1024;
    CHECK_STATUS(larder_cache_required_size(&config, 5000, 16, 64, &size), LARDER_TOO_LARGE);
    CHECK(size == 77);
    for (size_t limit = enough + enough / 8; limit < 4 * enough; limit += enough / 3) {
        config.memory_limit = limit;
        CHECK_STATUS(larder_cache_required_size(&config, 5000, 16, 64, &size), LARDER_OK);
        CHECK(size >= limit && size < limit + LARDER_ALIGN);
        struct region region = region_new(size);
        larder_cache *cache = cache_new(&region, &config);
        for (uint64_t key = 0; key < 5000; key++) {
            uint64_t pair[2] = {key, key};
            CHECK_STATUS(larder_cache_set(cache, pair, sizeof pair, value_bytes, 64, 0), LARDER_OK);
        }
        CHECK(larder_cache_item_count(cache) == 5000 && stats_of(cache).evictions == 0);
        region_free(&region);
    }
}

/* ---- limits ---- */

static larder_cache_limits_t limits_of(const larder_cache *cache)
{
    larder_cache_limits_t limits = LARDER_CACHE_LIMITS_INIT;
    CHECK_STATUS(larder_cache_limits(cache, &limits), LARDER_OK);
    return limits;
}

static void check_limits(larder_cache *cache, unsigned char *bytes)
{
    larder_cache_limits_t limits = limits_of(cache);
    size_t key_len = (size_t)limits.key_len_max, value_len = (size_t)limits.value_len_max;
    uint64_t ttl_ms = 0;
    CHECK(key_len > 0 && key_len <= 255 && value_len > 0 && value_len < LARGE_REGION_SIZE);
    CHECK_STATUS(larder_cache_clear(cache), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, bytes, key_len, bytes, value_len, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, bytes, key_len + 1, bytes, 1, 0), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_cache_set(cache, bytes, 1, bytes, value_len + 1, 0), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_cache_clear(cache), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, bytes, 1, bytes, value_len, limits.ttl_ms_max + HOUR_MS), LARDER_OK);
    CHECK_STATUS(larder_cache_ttl(cache, bytes, 1, &ttl_ms), LARDER_OK);
    CHECK(ttl_ms == limits.ttl_ms_max);
}

static void limits_are_exact(void)
{
    unsigned char *bytes = (unsigned char *)calloc(1, LARGE_REGION_SIZE);
    static const size_t sizes[] = {8192, REGION_SIZE, LARGE_REGION_SIZE};
    for (size_t i = 0; bytes && i < sizeof sizes / sizeof sizes[0]; i++) {
        for (uint32_t shards = 1; shards <= 64; shards *= 4) {
            struct region region = region_new(sizes[i]);
            uint64_t now_ms = 1000;
            larder_cache_config config = config_with_clock(&now_ms);
            larder_cache *cache = NULL;
            config.shards = shards;
            if (larder_cache_init(region.memory, region.size, &config, &cache) == LARDER_OK) {
                CHECK(limits_of(cache).shards == shards);
                check_limits(cache, bytes);
                uint64_t before = limits_of(cache).value_len_max;
                if (larder_cache_set_memory_limit(cache, region.size / 2) == LARDER_OK) {
                    CHECK(limits_of(cache).value_len_max < before);
                    check_limits(cache, bytes);
                }
            }
            region_free(&region);
        }
    }
    free(bytes);
}

static void four_kibibytes_are_useful(void)
{
    struct region region = region_new(4096);
    larder_cache *cache = cache_new(&region, NULL);
    for (uint64_t key = 0; key < 500; key++) {
        CHECK_STATUS(set_number(cache, key, (size_t)(key % 40), 0), LARDER_OK);
        CHECK_STATUS(get_number(cache, key), LARDER_OK);
        check_cache(cache, &region);
    }
    CHECK(larder_cache_item_count(cache) >= 16);
    region_free(&region);
}

/* ---- optimize ---- */

static void optimize_brings_expired_bytes_back(void)
{
    struct region region = region_new(LARGE_REGION_SIZE);
    uint64_t now_ms = 1000;
    larder_cache_config config = config_with_clock(&now_ms);
    larder_cache *cache = cache_new(&region, &config);
    larder_optimize_report report;
    memset(&report, DIRT_BYTE, sizeof report);
    for (uint64_t key = 0; key < 1100; key++)
        CHECK_STATUS(set_number(cache, key, 200, key % 11 ? HOUR_MS : LARDER_TTL_NEVER), LARDER_OK);
    check_cache(cache, &region);
    size_t usage = larder_cache_memory_usage(cache);

    now_ms += 2 * HOUR_MS;
    CHECK_STATUS(larder_cache_optimize(cache, 0, &report), LARDER_OK);
    check_cache(cache, &region);
    CHECK(report.done == 1 && report.items_expired == 1000 && report.bytes_freed > 0);
    CHECK(larder_cache_memory_usage(cache) < usage / 2);
    CHECK(larder_cache_item_count(cache) == 100);
    CHECK(stats_of(cache).expirations == 1000 && stats_of(cache).evictions == 0);
    for (uint64_t key = 0; key < 1100; key++)
        CHECK_STATUS(get_number(cache, key), key % 11 ? LARDER_NOT_FOUND : LARDER_OK);

    CHECK_STATUS(larder_cache_optimize(cache, 0, &report), LARDER_OK);
    CHECK(report.done == 1 && report.items_expired == 0);
    check_cache(cache, &region);
    region_free(&region);
}

static void optimize_works_in_steps(void)
{
    struct region region = region_new(LARGE_REGION_SIZE);
    uint64_t now_ms = 1000, expired = 0;
    larder_cache_config config = config_with_clock(&now_ms);
    larder_cache *cache = cache_new(&region, &config);
    for (uint64_t key = 0; key < 2000; key++)
        CHECK_STATUS(set_number(cache, key, 100, HOUR_MS), LARDER_OK);
    now_ms += 2 * HOUR_MS;
    larder_status status = LARDER_AGAIN;
    int calls = 0;
    while (status == LARDER_AGAIN && calls < 1000 * 1000) {
        larder_optimize_report report;
        memset(&report, DIRT_BYTE, sizeof report);
        status = larder_cache_optimize(cache, 8, &report);
        CHECK(report.done == (status == LARDER_OK ? 1u : 0u));
        expired += report.items_expired;
        if (calls++ % 16 == 0)
            check_cache(cache, &region);
    }
    CHECK_STATUS(status, LARDER_OK);
    CHECK(calls > 1 && expired == 2000);
    CHECK(larder_cache_item_count(cache) == 0);
    check_cache(cache, &region);
    region_free(&region);
}

/* ---- advice ---- */

static larder_advice advice_of(const larder_cache *cache, larder_status want)
{
    larder_advice advice = LARDER_ADVICE_INIT;
    CHECK_STATUS(larder_cache_advise(cache, &advice), want);
    return advice;
}

/* Gets keys from 0 to `keys` in turn, `laps` times; a miss is followed by a set. */
static void ask_in_turn(larder_cache *cache, uint64_t keys, int laps)
{
    unsigned char value[64] = {0};
    for (uint64_t i = 0; i < keys * (uint64_t)laps; i++) {
        uint64_t key = i % keys;
        size_t len;
        if (larder_cache_get(cache, &key, sizeof key, value, sizeof value, &len) != LARDER_OK)
            CHECK_STATUS(larder_cache_set(cache, &key, sizeof key, value, sizeof value, 0), LARDER_OK);
    }
}

/* A loop over one and a half times the keys that fit: exact LRU hits nothing at the limit, and all at twice it. */
static void advice_says_what_more_memory_brings(void)
{
    struct region region = region_new(1 << 20);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.policy = LARDER_POLICY_LRU;
    larder_cache *cache = cache_new(&region, &config);
    advice_of(cache, LARDER_AGAIN);
    ask_in_turn(cache, 20000, 1);
    uint64_t fit = larder_cache_item_count(cache);
    CHECK_STATUS(larder_cache_clear(cache), LARDER_OK);
    ask_in_turn(cache, fit * 3 / 2, 30);
    larder_advice advice = advice_of(cache, LARDER_OK);
    CHECK(advice.limit[0] == region.size / 4 && advice.limit[2] == region.size && advice.limit[4] == region.size * 4);
    CHECK(advice.hit_ppm[0] == 0 && advice.hit_ppm[1] == 0 && advice.hit_ppm[2] < 10000);
    /* About 185 keys are sampled: a fourth more or fewer by chance. */
    CHECK(advice.hit_ppm[3] > 700000 && advice.hit_ppm[4] > 700000 && advice.hit_ppm[4] <= 1000000);
    CHECK(advice.sample >= 16 && advice.gets > fit * 45 && advice.gets <= fit * 45 + 20000);
    region_free(&region);

    region = region_new(1 << 20);
    config.flags |= LARDER_NO_ADVICE;
    cache = cache_new(&region, &config);
    ask_in_turn(cache, 20000, 1);
    advice_of(cache, LARDER_NO_MEMORY);
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    lru_evicts_in_order();
    limit_holds_under_churn();
    limit_moves_down_and_up();
    required_size_holds_its_items();
    required_size_keeps_to_the_limit();
    limits_are_exact();
    advice_says_what_more_memory_brings();
    four_kibibytes_are_useful();
    optimize_brings_expired_bytes_back();
    optimize_works_in_steps();
    return check_end("behaviour_limit");
}
