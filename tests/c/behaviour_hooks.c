/* behaviour_hooks.c: events report all evictions and expirations. A callback that re-enters its cache gets
 * LARDER_BUSY. Every lock is released. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024, HOUR_MS = 3600 * 1000 };

static unsigned char value_bytes[REGION_SIZE];

static larder_status set_number(larder_cache *cache, uint64_t key, size_t value_len, uint64_t ttl_ms)
{
    return larder_cache_set(cache, &key, sizeof key, value_bytes, value_len, ttl_ms);
}

static int32_t visit_nothing(void *ctx, const larder_item_info *item)
{
    (void)ctx;
    (void)item;
    return 0;
}

struct events {
    larder_cache *cache;
    uint64_t evicted, expired, calls;
    int reenter;
    const int *lock_depth;
};

static void note_event(void *ctx, const larder_event *event)
{
    struct events *events = (struct events *)ctx;
    CHECK(event->kind == LARDER_EVENT_EVICTED || event->kind == LARDER_EVENT_EXPIRED);
    CHECK(event->items > 0 && event->bytes > 0);
    events->calls++;
    if (event->kind == LARDER_EVENT_EVICTED)
        events->evicted += event->items;
    else
        events->expired += event->items;
    if (events->lock_depth)
        CHECK(*events->lock_depth == 0);
    if (!events->reenter)
        return;
    unsigned char value[8];
    size_t len = 0;
    larder_cursor cursor = {0};
    CHECK_STATUS(larder_cache_set(events->cache, "re", 2, "x", 1, 0), LARDER_BUSY);
    CHECK_STATUS(larder_cache_get(events->cache, "re", 2, value, sizeof value, &len), LARDER_BUSY);
    CHECK_STATUS(larder_cache_delete(events->cache, "re", 2), LARDER_BUSY);
    CHECK_STATUS(larder_cache_clear(events->cache), LARDER_BUSY);
    CHECK_STATUS(larder_cache_optimize(events->cache, 0, NULL), LARDER_BUSY);
    CHECK_STATUS(larder_cache_scan(events->cache, &cursor, visit_nothing, NULL), LARDER_BUSY);
}

static void events_tell_all_evictions(void)
{
    for (int reenter = 0; reenter < 2; reenter++) {
        struct region region = region_new(REGION_SIZE);
        struct events events = {NULL, 0, 0, 0, reenter, NULL};
        larder_cache_config config = config_default();
        config.on_event = note_event;
        config.event_ctx = &events;
        larder_cache *cache = events.cache = cache_new(&region, &config);
        for (uint64_t key = 0; key < 2000; key++) {
            CHECK_STATUS(set_number(cache, key, 20 + (size_t)(key % 100), 0), LARDER_OK);
            CHECK(events.evicted == stats_of(cache).evictions);
            if (key % 8 == 0)
                check_cache(cache, &region);
        }
        CHECK(events.evicted > 0 && events.expired == 0);
        CHECK_STATUS(larder_cache_contains(cache, "re", 2), LARDER_NOT_FOUND);
        CHECK((stats_of(cache).failed_busy > 0) == (reenter == 1));
        check_cache(cache, &region);
        region_free(&region);
    }
}

static void events_tell_all_expirations(void)
{
    for (int reenter = 0; reenter < 2; reenter++) {
        struct region region = region_new(4 * REGION_SIZE);
        struct events events = {NULL, 0, 0, 0, reenter, NULL};
        uint64_t now_ms = 1000;
        larder_cache_config config = config_with_clock(&now_ms);
        config.on_event = note_event;
        config.event_ctx = &events;
        larder_cache *cache = events.cache = cache_new(&region, &config);
        for (uint64_t key = 0; key < 550; key++)
            CHECK_STATUS(set_number(cache, key, 100, key % 11 ? HOUR_MS : LARDER_TTL_NEVER), LARDER_OK);
        now_ms += 2 * HOUR_MS;
        for (uint64_t key = 0; key < 50; key++) {
            larder_status want = key % 11 ? LARDER_NOT_FOUND : LARDER_OK;
            CHECK_STATUS(larder_cache_contains(cache, &key, sizeof key), want);
            check_cache(cache, &region);
        }
        CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_OK);
        CHECK(events.expired == 500 && events.evicted == 0);
        CHECK(stats_of(cache).expirations == 500);
        CHECK(larder_cache_item_count(cache) == 50);
        check_cache(cache, &region);
        region_free(&region);
    }
}

struct lock {
    int depth, taken, given, refuse;
};

static int32_t lock_take(void *ctx)
{
    struct lock *lock = (struct lock *)ctx;
    if (lock->refuse)
        return 1;
    CHECK(lock->depth == 0);
    lock->depth++;
    lock->taken++;
    return 0;
}

static void lock_give(void *ctx)
{
    struct lock *lock = (struct lock *)ctx;
    CHECK(lock->depth == 1);
    lock->depth--;
    lock->given++;
}

static void lock_hooks_are_balanced(void)
{
    struct region region = region_new(REGION_SIZE);
    struct lock lock = {0, 0, 0, 0};
    struct events events = {NULL, 0, 0, 0, 0, &lock.depth};
    uint64_t now_ms = 1000, ttl_ms = 0;
    larder_cache_config config = config_with_clock(&now_ms);
    config.lock = config.try_lock = lock_take;
    config.unlock = lock_give;
    config.lock_ctx = &lock;
    config.on_event = note_event;
    config.event_ctx = &events;
    larder_cache *cache = events.cache = cache_new(&region, &config);
    larder_item_info info;
    int64_t number = 0;
    int32_t type = 0;
    size_t len = 0;
    unsigned char value[8];

    for (uint64_t key = 0; key < 1500; key++) {
        CHECK_STATUS(set_number(cache, key, (size_t)(key % 120), key % 2 ? HOUR_MS : 0), LARDER_OK);
        CHECK(lock.depth == 0);
    }
    CHECK(events.evicted > 0);
    int taken = lock.taken;
    CHECK_STATUS(larder_cache_set_i64(cache, "n", 1, 1, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_increment(cache, "n", 1, 1, &number), LARDER_OK);
    CHECK_STATUS(larder_cache_increment(cache, "n", 1, INT64_MAX, &number), LARDER_INVALID);
    CHECK_STATUS(larder_cache_get_i64(cache, "n", 1, &number), LARDER_OK);
    CHECK_STATUS(larder_cache_get(cache, "n", 1, value, 1, &len), LARDER_BUFFER_TOO_SMALL);
    CHECK_STATUS(larder_cache_get(cache, "absent", 6, value, sizeof value, &len), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_get_range(cache, "n", 1, 9, value, sizeof value, &len), LARDER_INVALID);
    CHECK_STATUS(larder_cache_add(cache, "n", 1, "", 0, 0), LARDER_EXISTS);
    CHECK_STATUS(larder_cache_set(cache, "n", 1, value_bytes, REGION_SIZE, 0), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_cache_type(cache, "n", 1, &type), LARDER_OK);
    CHECK_STATUS(larder_cache_ttl(cache, "n", 1, &ttl_ms), LARDER_OK);
    CHECK_STATUS(larder_cache_touch(cache, "n", 1, HOUR_MS), LARDER_OK);
    CHECK_STATUS(larder_cache_item_info(cache, "n", 1, &info), LARDER_OK);
    CHECK_STATUS(larder_cache_contains(cache, "n", 1), LARDER_OK);
    CHECK_STATUS(larder_cache_delete(cache, "n", 1), LARDER_OK);
    CHECK_STATUS(larder_cache_delete(cache, "n", 1), LARDER_NOT_FOUND);
    CHECK(lock.depth == 0 && lock.taken == lock.given && lock.taken > taken);

    larder_cursor cursor = {0};
    larder_status status = LARDER_AGAIN;
    while (status == LARDER_AGAIN)
        status = larder_cache_scan(cache, &cursor, visit_nothing, NULL);
    CHECK_STATUS(status, LARDER_OK);
    now_ms += 2 * HOUR_MS;
    CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_OK);
    CHECK_STATUS(larder_cache_set_memory_limit(cache, REGION_SIZE / 2), LARDER_OK);
    CHECK_STATUS(larder_cache_clear(cache), LARDER_OK);
    check_cache(cache, &region);
    CHECK(lock.depth == 0 && lock.taken == lock.given);

    /* a call whose lock is refused is LARDER_BUSY */
    CHECK_STATUS(larder_cache_set(cache, "a", 1, "1", 1, 0), LARDER_OK);
    lock.refuse = 1;
    CHECK_STATUS(larder_cache_set(cache, "a", 1, "2", 1, 0), LARDER_BUSY);
    CHECK_STATUS(larder_cache_get(cache, "a", 1, value, sizeof value, &len), LARDER_BUSY);
    CHECK_STATUS(larder_cache_delete(cache, "a", 1), LARDER_BUSY);
    lock.refuse = 0;
    CHECK(lock.depth == 0 && lock.taken == lock.given);
    CHECK_STATUS(larder_cache_get(cache, "a", 1, value, sizeof value, &len), LARDER_OK);
    CHECK(len == 1 && value[0] == '1');
    check_cache(cache, &region);
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    events_tell_all_evictions();
    events_tell_all_expirations();
    lock_hooks_are_balanced();
    return check_end("behaviour_hooks");
}
