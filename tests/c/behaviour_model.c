/* behaviour_model.c: every configuration works, LARDER_ZERO_ON_FREE zeroes freed bytes, random calls agree with a
 * model of the items, and threads share a cache. */
#define _POSIX_C_SOURCE 200809L

#include "check.h"

#include <pthread.h>

enum { REGION_SIZE = 64 * 1024, LARGE_REGION_SIZE = 1024 * 1024, HOUR_MS = 3600 * 1000 };

static unsigned char value_bytes[1024];

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

/* ---- configurations ---- */

static void every_configuration_works(void)
{
    static const uint32_t flags[] = {0, LARDER_ZERO_ON_FREE, LARDER_ITEM_TIMES, LARDER_SINGLE_THREAD,
                                     LARDER_ZERO_ON_FREE | LARDER_ITEM_TIMES | LARDER_SINGLE_THREAD};
    static const uint32_t shards[] = {0, 1, 2, 4};
    for (size_t f = 0; f < sizeof flags / sizeof flags[0]; f++) {
        for (size_t s = 0; s < sizeof shards / sizeof shards[0]; s++) {
            for (uint32_t policy = LARDER_POLICY_DEFAULT; policy <= LARDER_POLICY_LRU; policy++) {
                struct region region = region_new(LARGE_REGION_SIZE / 4);
                larder_cache_config config = config_default();
                config.flags = flags[f];
                config.shards = shards[s];
                config.policy = policy;
                config.hash_seed = f * 100 + s;
                config.expected_items = f * 500;
                larder_cache *cache = cache_new(&region, &config);
                CHECK(stats_of(cache).shards == (shards[s] ? shards[s] : 1));
                for (uint64_t key = 0; key < 6000; key++) {
                    CHECK_STATUS(set_number(cache, key, (size_t)(key % 150), key % 5 ? 0 : HOUR_MS), LARDER_OK);
                    CHECK_STATUS(get_number(cache, key), LARDER_OK);
                    if (key % 3 == 0)
                        CHECK_STATUS(larder_cache_delete(cache, &key, sizeof key), LARDER_OK);
                    if (key % 128 == 0)
                        check_cache(cache, &region);
                }
                larder_cache_stats_t stats = stats_of(cache);
                CHECK(stats.sets == 6000 && stats.hits == 6000 && stats.misses == 0);
                CHECK(stats.evictions > 0 && stats.pool_reuses > 0 && stats.arena_allocs > 0);
                CHECK_STATUS(larder_cache_clear(cache), LARDER_OK);
                CHECK(larder_cache_item_count(cache) == 0);
                check_cache(cache, &region);
                region_free(&region);
            }
        }
    }
}

static int region_contains(const struct region *region, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + len <= region->size; i++)
        if (region->memory[i] == (unsigned char)text[0] && memcmp(region->memory + i, text, len) == 0)
            return 1;
    return 0;
}

/* LARDER_ZERO_ON_FREE: after any removal of a value, its bytes are zero. Skipped under memcheck, which reports that
 * the search reads padding of the cache's tables. */
static void freed_bytes_are_zeroed(void)
{
    static const char first[] = "a secret that nobody may find", second[] = "another secret of other length, longer";
    struct region region = region_new(REGION_SIZE);
    uint64_t now_ms = 1000;
    larder_cache_config config = config_with_clock(&now_ms);
    config.flags |= LARDER_ZERO_ON_FREE;
    config.policy = LARDER_POLICY_LRU; /* so that enough sets evict any item */
    larder_cache *cache = cache_new(&region, &config);
    for (int way = 0; way < 6; way++) {
        CHECK_STATUS(larder_cache_set(cache, "key", 3, first, strlen(first), HOUR_MS), LARDER_OK);
        CHECK(region_contains(&region, first));
        switch (way) {
        case 0: CHECK_STATUS(larder_cache_delete(cache, "key", 3), LARDER_OK); break;
        case 1: CHECK_STATUS(larder_cache_set(cache, "key", 3, second, strlen(second), 0), LARDER_OK); break;
        case 2: CHECK_STATUS(larder_cache_set(cache, "key", 3, "short", 5, 0), LARDER_OK); break;
        case 3: CHECK_STATUS(larder_cache_clear(cache), LARDER_OK); break;
        case 4:
            now_ms += 2 * HOUR_MS;
            CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_OK);
            break;
        default:
            fill(cache, 0, 100, 0);
            for (uint64_t key = 0; key < 3000; key++)
                CHECK_STATUS(set_number(cache, key, 100, 0), LARDER_OK);
            CHECK_STATUS(larder_cache_contains(cache, "key", 3), LARDER_NOT_FOUND);
        }
        CHECK(!region_contains(&region, first));
        check_cache(cache, &region);
    }
    region_free(&region);
}

/* ---- a model ---- */

enum { MODEL_KEY_COUNT = 400 };

struct model_item {
    int maybe_there; /* the cache may have evicted it */
    uint64_t expires_at;
    uint64_t seed;
    size_t value_len;
};

static void model_value(unsigned char *bytes, const struct model_item *item)
{
    uint64_t random = item->seed * 2 + 1;
    for (size_t i = 0; i < item->value_len; i++)
        bytes[i] = (unsigned char)(next_random(&random) >> 40);
}

static void model_get(larder_cache *cache, uint64_t key, struct model_item *item, uint64_t now_ms)
{
    static unsigned char got[REGION_SIZE], want[REGION_SIZE];
    size_t len = 0;
    larder_status status = larder_cache_get(cache, &key, sizeof key, got, sizeof got, &len);
    if (status == LARDER_NOT_FOUND) {
        item->maybe_there = 0;
        return;
    }
    CHECK_STATUS(status, LARDER_OK);
    CHECK(item->maybe_there && now_ms < item->expires_at);
    model_value(want, item);
    CHECK(len == item->value_len && memcmp(got, want, len) == 0);
}

/* Random calls. Every value returned is the last one set, not expired and not deleted. */
static void random_calls_agree_with_a_model(void)
{
    static struct model_item items[MODEL_KEY_COUNT];
    static unsigned char value[REGION_SIZE];
    for (uint32_t policy = LARDER_POLICY_DEFAULT; policy <= LARDER_POLICY_LRU; policy++) {
        struct region region = region_new(REGION_SIZE);
        uint64_t now_ms = 1000, random = 11 + policy;
        larder_cache_config config = config_with_clock(&now_ms);
        config.policy = policy;
        larder_cache *cache = cache_new(&region, &config);
        memset(items, 0, sizeof items);
        for (int round = 0; round < check_rounds(20000, 1500); round++) {
            uint64_t choice = next_random(&random), key = (choice >> 20) % MODEL_KEY_COUNT;
            struct model_item *item = &items[key];
            larder_status status;
            now_ms += (choice >> 40) % 1000;
            switch (choice % 8) {
            case 0:
            case 1:
            case 2: {
                struct model_item new_item = {1, UINT64_MAX, choice, (size_t)((choice >> 12) % 200)};
                uint64_t ttl_ms = LARDER_TTL_NEVER;
                if (choice >> 30 & 1)
                    new_item.value_len *= 20;
                if (choice >> 31 & 1) {
                    ttl_ms = 60 * 1000;
                    new_item.expires_at = now_ms + ttl_ms;
                }
                model_value(value, &new_item);
                CHECK_STATUS(larder_cache_set(cache, &key, sizeof key, value, new_item.value_len, ttl_ms), LARDER_OK);
                *item = new_item;
                break;
            }
            case 3:
                status = larder_cache_delete(cache, &key, sizeof key);
                CHECK(status == LARDER_NOT_FOUND || (status == LARDER_OK && item->maybe_there));
                item->maybe_there = 0;
                break;
            case 4:
                status = larder_cache_touch(cache, &key, sizeof key, LARDER_TTL_NEVER);
                CHECK(status == LARDER_NOT_FOUND || (status == LARDER_OK && item->maybe_there));
                if (status == LARDER_OK)
                    item->expires_at = UINT64_MAX;
                break;
            case 5:
                if (choice >> 8 & 31)
                    model_get(cache, key, item, now_ms);
                else
                    CHECK((status = larder_cache_optimize(cache, 4, NULL)) == LARDER_OK || status == LARDER_AGAIN);
                break;
            default: model_get(cache, key, item, now_ms);
            }
            check_cache(cache, &region);
        }
        uint64_t there_at_most = 0;
        CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_OK); /* removes expired items from the counts */
        for (int key = 0; key < MODEL_KEY_COUNT; key++)
            there_at_most += items[key].maybe_there ? 1 : 0;
        CHECK(larder_cache_item_count(cache) <= there_at_most);
        region_free(&region);
    }
}

/* ---- threads ---- */

struct worker {
    larder_cache *cache;
    uint64_t seed, mistakes;
    int rounds;
};

static void *work(void *ctx)
{
    struct worker *worker = (struct worker *)ctx;
    uint64_t random = worker->seed;
    for (int i = 0; i < worker->rounds; i++) {
        uint64_t choice = next_random(&random), key = (choice >> 20) % 5000, got[8];
        uint64_t value[8] = {key, key, key, key, key, key, key, key};
        size_t len = 0, want = 8 * (1 + (size_t)(key % 8));
        larder_status status;
        if (choice % 4 == 0) {
            status = larder_cache_set(worker->cache, &key, sizeof key, value, want, 0);
            worker->mistakes += status != LARDER_OK;
        } else if (choice % 16 == 1) {
            status = larder_cache_delete(worker->cache, &key, sizeof key);
            worker->mistakes += status != LARDER_OK && status != LARDER_NOT_FOUND;
        } else {
            status = larder_cache_get(worker->cache, &key, sizeof key, got, sizeof got, &len);
            if (status == LARDER_OK)
                worker->mistakes += len != want || memcmp(got, value, len) != 0;
            else
                worker->mistakes += status != LARDER_NOT_FOUND;
        }
    }
    return NULL;
}

static void threads_share_a_cache(void)
{
    for (uint32_t shards = 1; shards <= 4; shards += 3) {
        struct region region = region_new(LARGE_REGION_SIZE / 4);
        larder_cache_config config = config_default();
        config.shards = shards;
        larder_cache *cache = cache_new(&region, &config);
        struct worker workers[3];
        pthread_t threads[3];
        for (int i = 0; i < 3; i++) {
            struct worker worker = {cache, (uint64_t)i + 1, 0, check_rounds(50000, 3000)};
            workers[i] = worker;
            if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) {
                fputs("the host cannot start a thread\n", stderr);
                exit(EXIT_FAILURE);
            }
        }
        for (int i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
            CHECK(workers[i].mistakes == 0);
        }
        check_cache(cache, &region);
        region_free(&region);
    }
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    every_configuration_works();
    if (!check_quick)
        freed_bytes_are_zeroed();
    random_calls_agree_with_a_model();
    threads_share_a_cache();
    return check_end("behaviour_model");
}
