/* behaviour_view.c: views keep their bytes through all changes of the key, reservations are written in place, and both
 * can be released once. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024, LARGE_REGION_SIZE = 256 * 1024, HOUR_MS = 3600 * 1000, VALUE_MAX = 24 * 1024 };

/* ---- worlds ---- */

struct setting {
    const char *name;
    uint32_t policy, shards, flags;
};

static const struct setting settings[] = {
    {"default", LARDER_POLICY_DEFAULT, 1, 0},
    {"LRU", LARDER_POLICY_LRU, 1, 0},
    {"default, four shards", LARDER_POLICY_DEFAULT, 4, 0},
    {"LRU, four shards", LARDER_POLICY_LRU, 4, 0},
    {"default, zeroed bytes, times", LARDER_POLICY_DEFAULT, 1, LARDER_ZERO_ON_FREE | LARDER_ITEM_TIMES},
    {"LRU, zeroed bytes", LARDER_POLICY_LRU, 1, LARDER_ZERO_ON_FREE},
};

enum { SETTING_COUNT = sizeof settings / sizeof settings[0] };

struct world {
    struct region region;
    uint64_t now_ms;
    larder_cache *cache;
};

static void world_begin(struct world *world, const struct setting *setting, size_t size, uint32_t pins_max)
{
    world->region = region_new(size);
    world->now_ms = 1000 * 1000;
    larder_cache_config config = config_with_clock(&world->now_ms);
    config.policy = setting->policy;
    config.shards = setting->shards;
    config.flags |= setting->flags;
    config.pins_max = pins_max;
    world->cache = cache_new(&world->region, &config);
}

static void world_end(struct world *world)
{
    check_cache(world->cache, &world->region);
    region_free(&world->region);
}

/* ---- values ---- */

static unsigned char pattern[VALUE_MAX], read_bytes[VALUE_MAX];

static void fill_pattern(unsigned char *bytes, size_t size, uint64_t seed)
{
    uint64_t random = seed * 2 + 1;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(next_random(&random) >> 32);
}

static larder_status set_value(larder_cache *cache, uint64_t key, size_t len, uint64_t seed, uint64_t ttl_ms)
{
    fill_pattern(pattern, len, seed);
    return larder_cache_set(cache, &key, sizeof key, pattern, len, ttl_ms);
}

static larder_status set_long_lived(larder_cache *cache, uint64_t key, size_t len, uint64_t seed)
{
    return set_value(cache, key, len, seed, LARDER_TTL_NEVER);
}

static larder_status pin(larder_cache *cache, uint64_t key, larder_view *view)
{
    return larder_cache_pin(cache, &key, sizeof key, view);
}

static larder_status reserve(larder_cache *cache, uint64_t key, size_t len, uint64_t ttl_ms, larder_reservation *out)
{
    return larder_cache_reserve(cache, &key, sizeof key, len, ttl_ms, out);
}

static larder_status contains(larder_cache *cache, uint64_t key)
{
    return larder_cache_contains(cache, &key, sizeof key);
}

static larder_status delete_key(larder_cache *cache, uint64_t key)
{
    return larder_cache_delete(cache, &key, sizeof key);
}

/* Checks that the value of a key is the pattern of this seed. */
static void check_value(larder_cache *cache, uint64_t key, size_t len, uint64_t seed)
{
    size_t got = len + 1;
    if (!CHECK_STATUS(larder_cache_get(cache, &key, sizeof key, read_bytes, sizeof read_bytes, &got), LARDER_OK))
        return;
    fill_pattern(pattern, len, seed);
    CHECK(got == len && memcmp(read_bytes, pattern, len) == 0);
}

/* Checks that no span has this number, and that the outputs are not written. */
static void check_no_view_span(larder_cache *cache, const larder_view *view, uint32_t index, larder_status want)
{
    const void *data = pattern;
    size_t len = 77;
    CHECK_STATUS(larder_cache_view_span(cache, view, index, &data, &len), want);
    CHECK(data == pattern && len == 77);
}

static void check_no_reservation_span(larder_cache *cache, const larder_reservation *reservation, uint32_t index,
                                      larder_status want)
{
    void *data = pattern;
    size_t len = 77;
    CHECK_STATUS(larder_cache_reservation_span(cache, reservation, index, &data, &len), want);
    CHECK(data == pattern && len == 77);
}

/* Checks that the call for all spans returns the same spans as the single calls. An array that is too short is not
 * written, and the number is returned. */
static void check_all_spans(larder_cache *cache, const larder_view *view)
{
    static larder_span spans[4096];
    size_t count = 77;
    CHECK(view->spans <= sizeof spans / sizeof *spans);
    CHECK_STATUS(larder_cache_view_spans(cache, view, spans, sizeof spans / sizeof *spans, &count), LARDER_OK);
    CHECK(count == view->spans && spans[0].data == view->data && spans[0].len == view->span_len);
    for (uint32_t i = 0; i < view->spans; i++) {
        const void *data = NULL;
        size_t len = 0;
        CHECK_STATUS(larder_cache_view_span(cache, view, i, &data, &len), LARDER_OK);
        CHECK(spans[i].data == data && spans[i].len == len);
    }
    spans[0].len = 1234567;
    count = 77;
    CHECK_STATUS(larder_cache_view_spans(cache, view, spans, view->spans - 1, &count), LARDER_BUFFER_TOO_SMALL);
    CHECK(count == view->spans && spans[0].len == 1234567);
    CHECK_STATUS(larder_cache_view_spans(cache, view, NULL, 0, &count), LARDER_BUFFER_TOO_SMALL);
    CHECK(count == view->spans);
}

/* Checks that the spans of a view together are the pattern of this seed. */
static void check_view(const struct world *world, const larder_view *view, size_t value_len, uint64_t seed)
{
    size_t at = 0;
    int same = 1;
    fill_pattern(pattern, value_len, seed);
    CHECK(view->len == value_len && view->spans >= 1);
    CHECK((view->spans == 1) == (view->span_len == view->len));
    for (uint32_t i = 0; i < view->spans; i++) {
        const void *data = NULL;
        size_t len = 0;
        if (!CHECK_STATUS(larder_cache_view_span(world->cache, view, i, &data, &len), LARDER_OK))
            return;
        if (!CHECK(len <= value_len - at && region_has(&world->region, data, len)))
            return;
        CHECK(len > 0 || value_len == 0);
        if (i == 0)
            CHECK(data == view->data && len == view->span_len);
        same &= memcmp(data, pattern + at, len) == 0;
        at += len;
    }
    CHECK(same && at == value_len);
    check_all_spans(world->cache, view);
    check_no_view_span(world->cache, view, view->spans, LARDER_NOT_FOUND);
    check_no_view_span(world->cache, view, view->spans + 1, LARDER_NOT_FOUND);
    check_no_view_span(world->cache, view, UINT32_MAX, LARDER_NOT_FOUND);
}

/* As check_all_spans, for a reservation. */
static void check_all_reservation_spans(larder_cache *cache, const larder_reservation *reservation)
{
    static larder_span spans[4096];
    size_t count = 77, capacity = sizeof spans / sizeof *spans, len = 0;
    CHECK_STATUS(larder_cache_reservation_spans(cache, reservation, spans, capacity, &count), LARDER_OK);
    CHECK(count == reservation->spans && spans[0].data == reservation->data);
    for (size_t i = 0; i < count; i++) {
        void *data = NULL;
        CHECK_STATUS(larder_cache_reservation_span(cache, reservation, (uint32_t)i, &data, &len), LARDER_OK);
        CHECK(spans[i].data == data && spans[i].len == len);
    }
    CHECK_STATUS(larder_cache_reservation_spans(cache, reservation, spans, count - 1, &count), LARDER_BUFFER_TOO_SMALL);
    CHECK(count == reservation->spans);
}

/* Writes the pattern of this seed span by span. */
static void write_reservation(const struct world *world, const larder_reservation *reservation, uint64_t seed)
{
    size_t at = 0;
    fill_pattern(pattern, reservation->len, seed);
    CHECK(reservation->spans >= 1);
    CHECK((reservation->spans == 1) == (reservation->span_len == reservation->len));
    for (uint32_t i = 0; i < reservation->spans; i++) {
        void *data = NULL;
        size_t len = 0;
        if (!CHECK_STATUS(larder_cache_reservation_span(world->cache, reservation, i, &data, &len), LARDER_OK))
            return;
        if (!CHECK(len <= reservation->len - at && region_has(&world->region, data, len)))
            return;
        if (i == 0)
            CHECK(data == reservation->data && len == reservation->span_len);
        memcpy(data, pattern + at, len);
        at += len;
    }
    CHECK(at == reservation->len);
    check_all_reservation_spans(world->cache, reservation);
    check_no_reservation_span(world->cache, reservation, reservation->spans, LARDER_NOT_FOUND);
    check_no_reservation_span(world->cache, reservation, UINT32_MAX, LARDER_NOT_FOUND);
}

/* ---- views outlive ---- */

/* The keys 0 to 5 are pinned; the keys from OTHERS on are not. */
static const size_t held_lens[] = {0, 1, 10, 100, 1000, 20000};

enum { HELD_COUNT = sizeof held_lens / sizeof held_lens[0], OTHERS = 1000, OTHER_COUNT = 200 };

static void act_delete(struct world *world)
{
    for (uint64_t key = 0; key < HELD_COUNT; key++) {
        CHECK_STATUS(delete_key(world->cache, key), LARDER_OK);
        CHECK_STATUS(contains(world->cache, key), LARDER_NOT_FOUND);
    }
}

static void act_set_same_length(struct world *world)
{
    for (uint64_t key = 0; key < HELD_COUNT; key++) {
        CHECK_STATUS(set_long_lived(world->cache, key, held_lens[key], 50 + key), LARDER_OK);
        check_value(world->cache, key, held_lens[key], 50 + key);
    }
}

static void act_set_other_lengths(struct world *world)
{
    for (uint64_t key = 0; key < HELD_COUNT; key++)
        for (uint64_t i = 0; i < HELD_COUNT; i++) {
            CHECK_STATUS(set_long_lived(world->cache, key, held_lens[i], 60 + i), LARDER_OK);
            check_value(world->cache, key, held_lens[i], 60 + i);
        }
}

static void act_delete_and_set(struct world *world)
{
    act_delete(world);
    act_set_same_length(world);
    act_delete(world);
}

static void act_touch(struct world *world)
{
    for (uint64_t key = 0; key < HELD_COUNT; key++) {
        CHECK_STATUS(larder_cache_touch(world->cache, &key, sizeof key, 5 * HOUR_MS), LARDER_OK);
        CHECK_STATUS(larder_cache_touch(world->cache, &key, sizeof key, LARDER_TTL_NEVER), LARDER_OK);
        check_value(world->cache, key, held_lens[key], key);
    }
}

static void act_commit(struct world *world)
{
    for (uint64_t key = 0; key < HELD_COUNT; key++) {
        larder_reservation reservation;
        CHECK_STATUS(reserve(world->cache, key, held_lens[key], 0, &reservation), LARDER_OK);
        write_reservation(world, &reservation, 70 + key);
        CHECK_STATUS(larder_cache_commit(world->cache, &reservation), LARDER_OK);
        check_value(world->cache, key, held_lens[key], 70 + key);
    }
}

static void act_expire_by_get(struct world *world)
{
    world->now_ms += 2 * HOUR_MS;
    for (uint64_t key = 0; key < HELD_COUNT; key++)
        CHECK_STATUS(contains(world->cache, key), LARDER_NOT_FOUND);
}

static void act_expire_by_optimize(struct world *world)
{
    world->now_ms += 2 * HOUR_MS;
    CHECK_STATUS(larder_cache_optimize(world->cache, 0, NULL), LARDER_OK);
    act_expire_by_get(world);
}

static void act_evict(struct world *world)
{
    uint64_t random = 5, evictions = stats_of(world->cache).evictions;
    int rounds = check_rounds(4000, 500);
    for (int i = 0; i < rounds; i++) {
        uint64_t key = OTHERS + next_random(&random) % 3000;
        size_t len = (size_t)(next_random(&random) % (i % 8 ? 200 : 9000));
        CHECK_STATUS(set_long_lived(world->cache, key, len, key), LARDER_OK);
        CHECK(larder_cache_memory_usage(world->cache) <= larder_cache_memory_limit(world->cache));
        if (i % 128 == 0)
            check_cache(world->cache, &world->region);
    }
    CHECK(stats_of(world->cache).evictions > evictions);
}

static void act_delete_and_evict(struct world *world)
{
    act_delete(world);
    act_evict(world);
}

/* Compacts the rest of the cache around the pinned items. */
static void act_optimize(struct world *world)
{
    for (uint64_t key = OTHERS; key < OTHERS + OTHER_COUNT; key++)
        if (key % 4)
            CHECK_STATUS(delete_key(world->cache, key), LARDER_OK);
    CHECK_STATUS(larder_cache_optimize(world->cache, 0, NULL), LARDER_OK);
    for (uint64_t key = OTHERS; key < OTHERS + OTHER_COUNT; key += 4)
        check_value(world->cache, key, (size_t)(key % 90), key);
}

static void act_lower_limit(struct world *world)
{
    size_t limit = LARGE_REGION_SIZE / 4 * 3;
    act_evict(world);
    CHECK_STATUS(larder_cache_set_memory_limit(world->cache, limit), LARDER_OK);
    larder_status status = LARDER_AGAIN;
    for (int calls = 0; status == LARDER_AGAIN && calls < 100 * 1000; calls++)
        status = larder_cache_optimize(world->cache, 64, NULL);
    CHECK_STATUS(status, LARDER_OK);
    CHECK(larder_cache_memory_usage(world->cache) <= limit);
    act_evict(world);
    CHECK(larder_cache_memory_usage(world->cache) <= limit);
}

struct action {
    const char *name;
    void (*act)(struct world *world);
};

static const struct action actions[] = {
    {"delete", act_delete},
    {"set of the same length", act_set_same_length},
    {"set of other lengths", act_set_other_lengths},
    {"delete, set, delete", act_delete_and_set},
    {"touch", act_touch},
    {"commit", act_commit},
    {"expiry met", act_expire_by_get},
    {"expiry swept", act_expire_by_optimize},
    {"eviction", act_evict},
    {"delete, eviction", act_delete_and_evict},
    {"optimize", act_optimize},
    {"lowered limit", act_lower_limit},
};

static void hold_all(struct world *world, larder_view views[HELD_COUNT])
{
    for (uint64_t key = 0; key < HELD_COUNT; key++)
        CHECK_STATUS(set_value(world->cache, key, held_lens[key], key, HOUR_MS), LARDER_OK);
    for (uint64_t key = OTHERS; key < OTHERS + OTHER_COUNT; key++)
        CHECK_STATUS(set_long_lived(world->cache, key, (size_t)(key % 90), key), LARDER_OK);
    for (uint64_t key = 0; key < HELD_COUNT; key++)
        CHECK_STATUS(pin(world->cache, key, &views[key]), LARDER_OK);
    CHECK(stats_of(world->cache).evictions == 0 && stats_of(world->cache).views == HELD_COUNT);
}

static void views_outlive(const struct setting *setting, const struct action *action)
{
    struct world world;
    larder_view views[HELD_COUNT];
    set_context(setting->name, action->name);
    world_begin(&world, setting, LARGE_REGION_SIZE, 0);
    hold_all(&world, views);
    action->act(&world);
    check_cache(world.cache, &world.region);
    for (uint64_t key = 0; key < HELD_COUNT; key++)
        check_view(&world, &views[key], held_lens[key], key);
    for (uint64_t key = 0; key < HELD_COUNT; key++) {
        CHECK_STATUS(larder_cache_unpin(world.cache, &views[key]), LARDER_OK);
        check_cache(world.cache, &world.region);
        for (uint64_t other = key + 1; other < HELD_COUNT; other++)
            check_view(&world, &views[other], held_lens[other], other);
    }
    CHECK(stats_of(world.cache).views == 0);
    act_evict(&world);
    world_end(&world);
}

/* For any distribution of keys over shards, unpinned items are evicted for a value that fits beside the pinned ones. */
static void the_rest_makes_room(const struct setting *setting)
{
    uint64_t draws = (uint64_t)check_rounds(300, 60);
    set_context(setting->name, "room beside what is held");
    for (uint64_t draw = 0; draw < draws; draw++) {
        struct world world;
        larder_view views[HELD_COUNT];
        uint64_t first = draw * 1000003;
        world_begin(&world, setting, LARGE_REGION_SIZE, 0);
        for (uint64_t i = 0; i < HELD_COUNT; i++) {
            CHECK_STATUS(set_value(world.cache, first + i, held_lens[i], i, HOUR_MS), LARDER_OK);
            CHECK_STATUS(pin(world.cache, first + i, &views[i]), LARDER_OK);
        }
        for (uint64_t i = 0; i < HELD_COUNT; i++)
            for (uint64_t j = 0; j < HELD_COUNT; j++)
                CHECK_STATUS(set_long_lived(world.cache, first + i, held_lens[j], j), LARDER_OK);
        for (uint64_t i = 0; i < HELD_COUNT; i++)
            check_view(&world, &views[i], held_lens[i], i);
        check_cache(world.cache, &world.region);
        world_end(&world);
    }
}

/* If a pinned item keeps the page before the head, items in the head page are evicted, too. */
static void a_limit_is_reached_beside_pinned_items(const struct setting *setting)
{
    const size_t limit = LARGE_REGION_SIZE / 8;
    size_t step = (size_t)check_rounds(97, 397);
    if (setting->shards > 1)
        return;
    set_context(setting->name, "limit beside what is held");
    for (size_t len = 1000; len < VALUE_MAX; len += step) {
        struct world world;
        larder_view view;
        world_begin(&world, setting, LARGE_REGION_SIZE, 0);
        CHECK_STATUS(set_long_lived(world.cache, 0, 10, 0), LARDER_OK);
        CHECK_STATUS(pin(world.cache, 0, &view), LARDER_OK);
        for (uint64_t key = 1; key < 60; key++)
            CHECK_STATUS(set_long_lived(world.cache, key, (size_t)(key * 17 % 400), key), LARDER_OK);
        CHECK_STATUS(set_long_lived(world.cache, 60, len, 60), LARDER_OK);
        CHECK_STATUS(larder_cache_set_memory_limit(world.cache, limit), LARDER_OK);
        CHECK_STATUS(larder_cache_optimize(world.cache, 0, NULL), LARDER_OK);
        CHECK(larder_cache_memory_usage(world.cache) <= limit);
        check_view(&world, &view, 10, 0);
        check_cache(world.cache, &world.region);
        world_end(&world);
    }
}

/* An integer can change while there is a view of its old value. */
static void integers_change_beside_a_view(const struct setting *setting)
{
    struct world world;
    larder_view view;
    int64_t number = 41, sum = 0;
    set_context(setting->name, "increment");
    world_begin(&world, setting, REGION_SIZE, 0);
    CHECK_STATUS(larder_cache_set_i64(world.cache, "n", 1, number, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_pin(world.cache, "n", 1, &view), LARDER_OK);
    for (int64_t i = 1; i <= 3; i++) {
        CHECK_STATUS(larder_cache_increment(world.cache, "n", 1, 1, &sum), LARDER_OK);
        CHECK(sum == number + i);
        CHECK(view.len == sizeof number && view.spans == 1 && memcmp(view.data, &number, sizeof number) == 0);
    }
    CHECK_STATUS(larder_cache_unpin(world.cache, &view), LARDER_OK);
    CHECK_STATUS(larder_cache_get_i64(world.cache, "n", 1, &sum), LARDER_OK);
    CHECK(sum == 44);
    world_end(&world);
}

/* A pin counts as a get. The bytes of a deleted item become free with the last unpin. */
static void last_unpin_frees(const struct setting *setting)
{
    for (size_t i = 0; i < HELD_COUNT; i++) {
        struct world world;
        larder_view first, second;
        set_context(setting->name, "usage");
        world_begin(&world, setting, LARGE_REGION_SIZE, 0);
        size_t usage = larder_cache_memory_usage(world.cache);
        CHECK_STATUS(set_long_lived(world.cache, 7, held_lens[i], 7), LARDER_OK);
        CHECK_STATUS(pin(world.cache, 7, &first), LARDER_OK);
        CHECK_STATUS(pin(world.cache, 8, &second), LARDER_NOT_FOUND);
        CHECK_STATUS(pin(world.cache, 7, &second), LARDER_OK);
        CHECK(stats_of(world.cache).hits == 2 && stats_of(world.cache).misses == 1);
        CHECK(stats_of(world.cache).views == 2);
        CHECK_STATUS(delete_key(world.cache, 7), LARDER_OK);
        CHECK(larder_cache_item_count(world.cache) == 0);
        CHECK_STATUS(larder_cache_unpin(world.cache, &first), LARDER_OK);
        check_view(&world, &second, held_lens[i], 7);
        check_cache(world.cache, &world.region);
        CHECK(larder_cache_memory_usage(world.cache) > usage + held_lens[i]);
        CHECK_STATUS(larder_cache_unpin(world.cache, &second), LARDER_OK);
        CHECK(larder_cache_memory_usage(world.cache) == usage);
        world_end(&world);
    }
}

/* ---- released tokens ---- */

static int stats_are(const larder_cache *cache, const larder_cache_stats_t *before)
{
    larder_cache_stats_t now = stats_of(cache);
    return memcmp(&now, before, sizeof now) == 0;
}

/* Checks that every call with a stale view is LARDER_STALE and changes nothing. */
static void check_stale_view(larder_cache *cache, const larder_view *view)
{
    larder_view copy = *view;
    larder_cache_stats_t before = stats_of(cache);
    CHECK_STATUS(larder_cache_unpin(cache, &copy), LARDER_STALE);
    check_no_view_span(cache, &copy, 0, LARDER_STALE);
    size_t spans = 77;
    CHECK_STATUS(larder_cache_view_spans(cache, &copy, NULL, 0, &spans), LARDER_STALE);
    CHECK(spans == 77);
    check_no_view_span(cache, &copy, UINT32_MAX, LARDER_STALE);
    CHECK(memcmp(&copy, view, sizeof copy) == 0);
    CHECK(stats_are(cache, &before));
}

static void check_stale_reservation(larder_cache *cache, const larder_reservation *reservation)
{
    larder_reservation copy = *reservation;
    larder_cache_stats_t before = stats_of(cache);
    CHECK_STATUS(larder_cache_commit(cache, &copy), LARDER_STALE);
    CHECK_STATUS(larder_cache_abort(cache, &copy), LARDER_STALE);
    check_no_reservation_span(cache, &copy, 0, LARDER_STALE);
    check_no_reservation_span(cache, &copy, UINT32_MAX, LARDER_STALE);
    CHECK(memcmp(&copy, reservation, sizeof copy) == 0);
    CHECK(stats_are(cache, &before));
}

/* A view made from the fields by which the library identifies a reservation. */
static larder_view view_of_reservation(const larder_reservation *reservation)
{
    larder_view view;
    memset(&view, 0, sizeof view);
    view.data = reservation->data;
    view.len = reservation->len;
    view.span_len = reservation->span_len;
    view.spans = reservation->spans;
    view.shard = reservation->shard;
    view.entry = reservation->entry;
    view.generation = reservation->generation;
    return view;
}

static larder_reservation reservation_of_view(const larder_view *view)
{
    larder_reservation reservation;
    memset(&reservation, 0, sizeof reservation);
    reservation.len = view->len;
    reservation.span_len = view->span_len;
    reservation.spans = view->spans;
    reservation.shard = view->shard;
    reservation.entry = view->entry;
    reservation.generation = view->generation;
    return reservation;
}

static void check_forged(larder_cache *cache, larder_view view)
{
    larder_reservation reservation = reservation_of_view(&view);
    check_stale_view(cache, &view);
    check_stale_reservation(cache, &reservation);
}

static void nothing_is_no_view(const struct world *world)
{
    larder_view view;
    memset(&view, 0, sizeof view);
    check_forged(world->cache, view);
    view.entry = UINT32_MAX;
    check_forged(world->cache, view);
    view.entry = 0;
    view.generation = UINT32_MAX;
    check_forged(world->cache, view);
    memset(&view, 0xFF, sizeof view);
    check_forged(world->cache, view);
    memset(&view, DIRT_BYTE, sizeof view);
    check_forged(world->cache, view);
}

/* Entries beside a token, and tokens of the other kind, are LARDER_STALE. */
static void forged_tokens_are_stale(const struct setting *setting)
{
    struct world world;
    larder_view view, other;
    larder_reservation reservation, stale;
    set_context(setting->name, "forged");
    world_begin(&world, setting, REGION_SIZE, 0);
    nothing_is_no_view(&world);
    CHECK_STATUS(set_long_lived(world.cache, 1, 500, 1), LARDER_OK);
    CHECK_STATUS(pin(world.cache, 1, &view), LARDER_OK);
    CHECK_STATUS(reserve(world.cache, 1, 600, 0, &reservation), LARDER_OK);
    write_reservation(&world, &reservation, 2);
    nothing_is_no_view(&world);

    other = view_of_reservation(&reservation);
    check_stale_view(world.cache, &other);
    stale = reservation_of_view(&view);
    check_stale_reservation(world.cache, &stale);
    for (uint32_t step = 1; step <= 4; step++) {
        other = view;
        other.generation = view.generation + step;
        check_forged(world.cache, other);
        other.generation = view.generation - step;
        check_forged(world.cache, other);
        other = view;
        other.entry = view.entry + 1 + step; /* entry and the next one are in use */
        check_forged(world.cache, other);
        stale = reservation;
        stale.generation = reservation.generation + step;
        check_stale_reservation(world.cache, &stale);
    }

    check_view(&world, &view, 500, 1);
    CHECK_STATUS(larder_cache_commit(world.cache, &reservation), LARDER_OK);
    check_value(world.cache, 1, 600, 2);
    check_view(&world, &view, 500, 1);
    CHECK_STATUS(larder_cache_unpin(world.cache, &view), LARDER_OK);
    check_value(world.cache, 1, 600, 2);
    world_end(&world);
}

enum { STALE_ROUNDS = 40 };

/* Copies of released views stay stale after other pins reuse their entries. */
static void copies_stay_stale(const struct setting *setting)
{
    static larder_view views[STALE_ROUNDS];
    static larder_reservation reservations[STALE_ROUNDS];
    struct world world;
    larder_view held;
    set_context(setting->name, "stale copies");
    for (int keep = 0; keep < 2; keep++) { /* whether the table stays in between */
        world_begin(&world, setting, REGION_SIZE, 0);
        CHECK_STATUS(set_long_lived(world.cache, 1, 100, 1), LARDER_OK);
        if (keep)
            CHECK_STATUS(pin(world.cache, 1, &held), LARDER_OK);
        for (int i = 0; i < STALE_ROUNDS; i++) {
            CHECK_STATUS(pin(world.cache, 1, &views[i]), LARDER_OK);
            for (int j = 0; j < i; j++)
                check_stale_view(world.cache, &views[j]);
            check_view(&world, &views[i], 100, 1);
            CHECK_STATUS(larder_cache_unpin(world.cache, &views[i]), LARDER_OK);
            check_stale_view(world.cache, &views[i]);

            CHECK_STATUS(reserve(world.cache, 1, 100, 0, &reservations[i]), LARDER_OK);
            for (int j = 0; j < i; j++)
                check_stale_reservation(world.cache, &reservations[j]);
            check_stale_view(world.cache, &views[i]);
            write_reservation(&world, &reservations[i], 1);
            if (i % 2)
                CHECK_STATUS(larder_cache_commit(world.cache, &reservations[i]), LARDER_OK);
            else
                CHECK_STATUS(larder_cache_abort(world.cache, &reservations[i]), LARDER_OK);
            check_stale_reservation(world.cache, &reservations[i]);
            check_value(world.cache, 1, 100, 1);
        }
        if (keep) {
            check_view(&world, &held, 100, 1);
            CHECK_STATUS(larder_cache_unpin(world.cache, &held), LARDER_OK);
        }
        check_stale_view(world.cache, &views[0]);
        world_end(&world);
    }
}

/* ---- spans ---- */

static void large_values_lie_in_spans(const struct setting *setting)
{
    static const size_t lens[] = {0, 1, 255, 256, 400, 511, 512, 513, 1023, 1024, 2000, 4096, 9999, VALUE_MAX};
    struct world world;
    uint32_t most_spans = 0;
    set_context(setting->name, "spans");
    world_begin(&world, setting, LARGE_REGION_SIZE, 0);
    for (uint64_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        larder_view view;
        larder_item_info info;
        uint64_t key = i;
        CHECK_STATUS(set_long_lived(world.cache, key, lens[i], i), LARDER_OK);
        CHECK_STATUS(pin(world.cache, key, &view), LARDER_OK);
        check_view(&world, &view, lens[i], i);
        check_value(world.cache, key, lens[i], i);
        CHECK_STATUS(larder_cache_item_info(world.cache, &key, sizeof key, &info), LARDER_OK);
        CHECK(info.value_len == view.len);
        most_spans = view.spans > most_spans ? view.spans : most_spans;
        CHECK_STATUS(larder_cache_unpin(world.cache, &view), LARDER_OK);
        check_value(world.cache, key, lens[i], i);
        check_cache(world.cache, &world.region);

        larder_reservation reservation;
        CHECK_STATUS(reserve(world.cache, key, lens[i], LARDER_TTL_NEVER, &reservation), LARDER_OK);
        CHECK(reservation.len == lens[i] && reservation.ttl_ms == LARDER_TTL_NEVER);
        write_reservation(&world, &reservation, 100 + i);
        check_value(world.cache, key, lens[i], i);
        CHECK_STATUS(larder_cache_commit(world.cache, &reservation), LARDER_OK);
        check_value(world.cache, key, lens[i], 100 + i);
        check_cache(world.cache, &world.region);
    }
    CHECK(most_spans > 2);
    world_end(&world);
}

/* ---- reservations ---- */

/* No call finds a reserved value before the commit, and an abort leaves no trace. */
static void reservations_are_not_found_before_the_commit(const struct setting *setting)
{
    for (uint64_t i = 0; i < HELD_COUNT; i++) {
        struct world world;
        larder_reservation reservation, copy;
        uint64_t key = 3;
        int32_t type = -1;
        set_context(setting->name, "reserve");
        world_begin(&world, setting, LARGE_REGION_SIZE, 0);
        size_t usage = larder_cache_memory_usage(world.cache);
        CHECK_STATUS(reserve(world.cache, key, held_lens[i], 0, &reservation), LARDER_OK);
        write_reservation(&world, &reservation, i);
        CHECK_STATUS(contains(world.cache, key), LARDER_NOT_FOUND);
        CHECK_STATUS(delete_key(world.cache, key), LARDER_NOT_FOUND);
        larder_cache_stats_t stats = stats_of(world.cache);
        CHECK(stats.item_count == 0 && stats.sets == 0 && stats.views == 0 && stats.reservations == 1);
        CHECK(stats.total_used > usage + held_lens[i]);
        check_cache(world.cache, &world.region);
        CHECK_STATUS(larder_cache_abort(world.cache, &reservation), LARDER_OK);
        CHECK(larder_cache_memory_usage(world.cache) == usage && stats_of(world.cache).reservations == 0);
        check_stale_reservation(world.cache, &reservation);
        check_cache(world.cache, &world.region);

        CHECK_STATUS(reserve(world.cache, key, held_lens[i], 0, &reservation), LARDER_OK);
        copy = reservation;
        write_reservation(&world, &copy, i);
        CHECK_STATUS(larder_cache_commit(world.cache, &copy), LARDER_OK);
        check_stale_reservation(world.cache, &reservation);
        check_value(world.cache, key, held_lens[i], i);
        CHECK_STATUS(larder_cache_type(world.cache, &key, sizeof key, &type), LARDER_OK);
        stats = stats_of(world.cache);
        CHECK(type == LARDER_TYPE_BYTES && stats.item_count == 1 && stats.sets == 1 && stats.updates == 0);
        CHECK(stats.reservations == 0 && stats.payload_bytes == sizeof key + held_lens[i]);
        world_end(&world);
    }
}

/* The old value stays until the commit. Of several reservations for one key only the first commit succeeds. A commit
 * fails if its key was changed since the reserve. */
static void old_values_stay_until_the_commit(const struct setting *setting)
{
    for (uint64_t i = 0; i < HELD_COUNT; i++) {
        struct world world;
        larder_reservation first, second, third;
        size_t len = held_lens[i];
        set_context(setting->name, "old value");
        world_begin(&world, setting, LARGE_REGION_SIZE, 0);
        CHECK_STATUS(set_long_lived(world.cache, 3, 50, 1), LARDER_OK);
        CHECK_STATUS(reserve(world.cache, 3, len, 0, &first), LARDER_OK);
        CHECK_STATUS(reserve(world.cache, 3, len + 1, 0, &second), LARDER_OK);
        CHECK_STATUS(reserve(world.cache, 3, 70, 0, &third), LARDER_OK);
        write_reservation(&world, &second, 3);
        write_reservation(&world, &third, 4);
        write_reservation(&world, &first, 2);
        check_value(world.cache, 3, 50, 1);
        CHECK_STATUS(larder_cache_commit(world.cache, &second), LARDER_OK);
        check_value(world.cache, 3, len + 1, 3);
        check_cache(world.cache, &world.region);
        CHECK_STATUS(larder_cache_abort(world.cache, &third), LARDER_OK);
        check_value(world.cache, 3, len + 1, 3);
        CHECK_STATUS(larder_cache_commit(world.cache, &first), LARDER_STALE);
        check_value(world.cache, 3, len + 1, 3);
        CHECK(larder_cache_item_count(world.cache) == 1);
        CHECK(stats_of(world.cache).sets == 2 && stats_of(world.cache).updates == 1);

        /* a commit does not restore a key deleted since */
        CHECK_STATUS(reserve(world.cache, 3, len, 0, &first), LARDER_OK);
        write_reservation(&world, &first, 5);
        CHECK_STATUS(delete_key(world.cache, 3), LARDER_OK);
        CHECK_STATUS(larder_cache_commit(world.cache, &first), LARDER_STALE);
        CHECK_STATUS(contains(world.cache, 3), LARDER_NOT_FOUND);
        check_stale_reservation(world.cache, &first);
        world_end(&world);
    }
}

struct ttl_case {
    uint64_t asked_ms, default_ms, lives_ms;
};

static const struct ttl_case ttl_cases[] = {
    {HOUR_MS, 0, HOUR_MS},
    {LARDER_TTL_DEFAULT, 0, LARDER_TTL_NEVER},
    {LARDER_TTL_DEFAULT, 2 * HOUR_MS, 2 * HOUR_MS},
    {HOUR_MS, 2 * HOUR_MS, HOUR_MS},
    {LARDER_TTL_NEVER, 2 * HOUR_MS, LARDER_TTL_NEVER},
};

/* The TTL of a reserved value starts at the commit, however old the reservation is. */
static void ttl_counts_from_the_commit(const struct ttl_case *c, size_t len)
{
    struct region region = region_new(LARGE_REGION_SIZE);
    struct world world = {region, 1000 * 1000, NULL};
    larder_cache_config config = config_with_clock(&world.now_ms);
    config.default_ttl_ms = c->default_ms;
    larder_cache *cache = world.cache = cache_new(&region, &config);
    larder_reservation reservation;
    uint64_t key = 3, ttl_ms = 0;
    CHECK_STATUS(reserve(cache, key, len, c->asked_ms, &reservation), LARDER_OK);
    CHECK(reservation.ttl_ms == c->asked_ms);
    write_reservation(&world, &reservation, 1);
    world.now_ms += 5 * (uint64_t)HOUR_MS;
    CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_OK);
    CHECK_STATUS(larder_cache_commit(cache, &reservation), LARDER_OK);
    CHECK_STATUS(larder_cache_ttl(cache, &key, sizeof key, &ttl_ms), LARDER_OK);
    CHECK(ttl_ms == c->lives_ms);
    check_value(cache, key, len, 1);
    if (c->lives_ms != LARDER_TTL_NEVER) {
        world.now_ms += c->lives_ms - 1;
        check_value(cache, key, len, 1);
        world.now_ms++;
        CHECK_STATUS(contains(cache, key), LARDER_NOT_FOUND);
        CHECK(stats_of(cache).expirations == 1);
    }
    check_cache(cache, &region);
    region_free(&region);
}

static void ttls_count_from_the_commit(void)
{
    set_context("commit", "TTL");
    for (size_t i = 0; i < sizeof ttl_cases / sizeof ttl_cases[0]; i++)
        for (size_t j = 0; j < HELD_COUNT; j++)
            ttl_counts_from_the_commit(&ttl_cases[i], held_lens[j]);
}

/* ---- the number of pins ---- */

static void check_clear(const struct world *world, uint32_t views, uint32_t reservations)
{
    CHECK_STATUS(larder_cache_clear(world->cache), LARDER_OK);
    larder_cache_stats_t stats = stats_of(world->cache);
    CHECK(stats.item_count == 0 && stats.views == views && stats.reservations == reservations);
    check_cache(world->cache, &world->region);
}

static void clear_keeps_views_and_voids_reservations(const struct setting *setting)
{
    struct world world;
    larder_view view;
    larder_reservation reservation;
    set_context(setting->name, "clear");
    world_begin(&world, setting, REGION_SIZE, 0);
    for (uint64_t key = 0; key < 60; key++) {
        for (uint64_t i = 0; i < 20; i++)
            CHECK_STATUS(set_long_lived(world.cache, i, 20, i), LARDER_OK);
        CHECK_STATUS(set_long_lived(world.cache, key, 30, key), LARDER_OK);
        CHECK_STATUS(pin(world.cache, key, &view), LARDER_OK);
        CHECK_STATUS(reserve(world.cache, key + 1, 40, 0, &reservation), LARDER_OK);
        check_clear(&world, 1, 1);
        check_view(&world, &view, 30, key);
        if (key % 2) {
            CHECK_STATUS(larder_cache_unpin(world.cache, &view), LARDER_OK);
            check_clear(&world, 0, 1);
            CHECK_STATUS(larder_cache_abort(world.cache, &reservation), LARDER_OK);
        } else {
            write_reservation(&world, &reservation, key);
            CHECK_STATUS(larder_cache_commit(world.cache, &reservation), LARDER_STALE);
            check_clear(&world, 1, 0);
            check_view(&world, &view, 30, key);
            CHECK_STATUS(larder_cache_unpin(world.cache, &view), LARDER_OK);
        }
        check_clear(&world, 0, 0);
        check_stale_view(world.cache, &view);
        check_stale_reservation(world.cache, &reservation);
    }
    world_end(&world);
}

enum { PINS_LIMIT = 64 };

/* Pins of key 1, so all of them are in one shard. */
static struct {
    larder_view views[PINS_LIMIT];
    larder_reservation reservations[PINS_LIMIT];
    uint32_t view_count, reservation_count;
} pins;

static void take_one(const struct world *world, int is_view)
{
    if (is_view)
        CHECK_STATUS(pin(world->cache, 1, &pins.views[pins.view_count++]), LARDER_OK);
    else
        CHECK_STATUS(reserve(world->cache, 1, 9, 0, &pins.reservations[pins.reservation_count++]), LARDER_OK);
    larder_cache_stats_t stats = stats_of(world->cache);
    CHECK(stats.views == pins.view_count && stats.reservations == pins.reservation_count);
}

static void give_one(const struct world *world)
{
    if (pins.view_count > 0) {
        check_view(world, &pins.views[--pins.view_count], 9, 1);
        CHECK_STATUS(larder_cache_unpin(world->cache, &pins.views[pins.view_count]), LARDER_OK);
    } else {
        CHECK_STATUS(larder_cache_abort(world->cache, &pins.reservations[--pins.reservation_count]), LARDER_OK);
    }
    larder_cache_stats_t stats = stats_of(world->cache);
    CHECK(stats.views == pins.view_count && stats.reservations == pins.reservation_count);
}

/* Checks that one pin more is refused and changes nothing. */
static void check_none_can_be_taken(const struct world *world)
{
    larder_view view;
    larder_reservation reservation;
    larder_cache_stats_t before = stats_of(world->cache);
    memset(&view, DIRT_BYTE, sizeof view);
    memset(&reservation, DIRT_BYTE, sizeof reservation);
    CHECK_STATUS(pin(world->cache, 1, &view), LARDER_NO_MEMORY);
    CHECK_STATUS(reserve(world->cache, 1, 9, 0, &reservation), LARDER_NO_MEMORY);
    CHECK(all_bytes_are(&view, sizeof view, DIRT_BYTE));
    CHECK(all_bytes_are(&reservation, sizeof reservation, DIRT_BYTE));
    larder_cache_stats_t after = stats_of(world->cache);
    CHECK(after.views == before.views && after.reservations == before.reservations);
    CHECK(after.hits == before.hits && after.total_used == before.total_used);
    CHECK(after.failed_no_memory == before.failed_no_memory + 2);
    check_value(world->cache, 1, 9, 1);
}

/* Makes `most` views and reservations; the bits of `kinds` select which. Then checks that no more are allowed. */
static void as_many_are_held(const struct world *world, uint32_t most, uint64_t kinds)
{
    pins.view_count = pins.reservation_count = 0;
    CHECK_STATUS(set_long_lived(world->cache, 1, 9, 1), LARDER_OK);
    for (uint32_t i = 0; i < most; i++)
        take_one(world, (int)(kinds >> i % 8 & 1));
    for (int round = 0; round < 3; round++) {
        check_none_can_be_taken(world);
        give_one(world);
        take_one(world, round == 1);
    }
    check_cache(world->cache, &world->region);
    for (uint32_t i = 0; i < most; i++)
        give_one(world);
    check_value(world->cache, 1, 9, 1);
}

struct pins_case {
    const char *name;
    size_t region_size; /* of one shard */
    uint32_t pins_max, most;
};

static const struct pins_case pins_cases[] = {
    {"one", REGION_SIZE, 1, 1},
    {"two", REGION_SIZE, 2, 2},
    {"five", REGION_SIZE, 5, 5},
    {"as many as by default", REGION_SIZE, 0, 16},
    {"4 KiB", 4096, 0, 16},
    {"4 KiB, one", 4096, 1, 1},
    {"16 KiB", 16384, 0, 16},
    {"16 KiB, all", 16384, 32, 32},
    {"200 KiB", 200 << 10, 0, 16},
    {"200 KiB, all", 200 << 10, 64, 64},
};

static void no_more_are_held_than_configured(void)
{
    static const uint64_t kinds[] = {0xFF, 0, 0x55, 0xFE};
    for (size_t i = 0; i < sizeof pins_cases / sizeof pins_cases[0]; i++)
        for (size_t s = 0; s < SETTING_COUNT; s++) {
            const struct pins_case *c = &pins_cases[i];
            struct world world;
            size_t shards = settings[s].shards, extra = (shards - 1) * 2048;
            set_context(settings[s].name, c->name);
            world_begin(&world, &settings[s], c->region_size * shards + extra, c->pins_max);
            for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
                as_many_are_held(&world, c->most, kinds[k]);
            world_end(&world);
        }
}

/* A pins_max above an eighth of a page's bytes is refused. */
static void too_many_pins_make_no_cache(void)
{
    static const struct {
        size_t region_size;
        uint32_t pins_max;
    } cases[] = {{4096, 17},         {16384, 33},        {200 << 10, 65},
                 {200 << 10, 65536}, {200 << 10, 65537}, {200 << 10, UINT32_MAX}};
    set_context("init", "pins_max");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct region region = region_new(cases[i].region_size);
        larder_cache *cache = NULL;
        larder_cache_config config = config_default();
        config.pins_max = cases[i].pins_max;
        CHECK_STATUS(larder_cache_init(region.memory, region.size, &config, &cache), ANY_ERROR);
        CHECK(cache == NULL);
        region_free(&region);
    }
}

/* ---- the limit ---- */

enum { PINS_OF_ALL = 63, HOLDERS = 4 * PINS_OF_ALL };

static struct {
    larder_view view;
    uint64_t key;
} holders[HOLDERS];

static void check_limit(const struct world *world)
{
    CHECK(larder_cache_memory_usage(world->cache) <= larder_cache_memory_limit(world->cache));
}

/* Sets and pins until `misses` successive sets find no room. Returns the number of pins. */
static int hold_until_full(const struct world *world, size_t len, int misses, uint64_t *next)
{
    int count = 0, missed = 0;
    while (count < HOLDERS && missed < misses) {
        larder_status status = set_long_lived(world->cache, *next, len, *next);
        check_limit(world);
        CHECK(larder_cache_item_count(world->cache) == (uint64_t)count + (status == LARDER_OK ? 1 : 0));
        if (status == LARDER_OK) {
            CHECK_STATUS(pin(world->cache, *next, &holders[count].view), LARDER_OK);
            holders[count++].key = *next;
            missed = 0;
        } else {
            CHECK_STATUS(status, LARDER_NO_MEMORY);
            CHECK_STATUS(contains(world->cache, *next), LARDER_NOT_FOUND);
            missed++;
        }
        ++*next;
    }
    CHECK(missed == misses && count > 0);
    check_cache(world->cache, &world->region);
    return count;
}

#define NOT_HELD UINT64_MAX

static void check_all_held(const struct world *world, int count, size_t len)
{
    for (int i = 0; i < count; i++) {
        if (holders[i].key == NOT_HELD)
            continue;
        check_view(world, &holders[i].view, len, holders[i].key);
        check_value(world->cache, holders[i].key, len, holders[i].key);
    }
}

static void give_back(const struct world *world, int from, int to)
{
    for (int i = from; i < to; i++) {
        if (holders[i].key != NOT_HELD)
            CHECK_STATUS(larder_cache_unpin(world->cache, &holders[i].view), LARDER_OK);
        holders[i].key = NOT_HELD;
    }
}

/* Bytes beside pinned items become free with their page, so a set finds room at the latest when all pins of a page are
 * released. Until then a set changes no pinned item. With all pins released every set works again. */
static void room_comes_with_unpins(const struct world *world, int count, size_t len, uint64_t *next)
{
    for (int i = 0; i < count; i += 5) {
        give_back(world, i, i + 1);
        ++*next;
        larder_status status = set_long_lived(world->cache, *next, len, *next);
        check_limit(world);
        CHECK_STATUS(contains(world->cache, *next), status == LARDER_OK ? LARDER_OK : LARDER_NOT_FOUND);
        if (status == LARDER_OK) {
            check_value(world->cache, *next, len, *next);
            CHECK_STATUS(pin(world->cache, *next, &holders[i].view), LARDER_OK);
            holders[i].key = *next;
        } else {
            CHECK_STATUS(status, LARDER_NO_MEMORY);
        }
        check_cache(world->cache, &world->region);
    }
    check_all_held(world, count, len);
    give_back(world, 0, count / 2);
    ++*next;
    CHECK_STATUS(set_long_lived(world->cache, *next, len, *next), LARDER_OK);
    check_value(world->cache, *next, len, *next);
    check_all_held(world, count, len);
    give_back(world, 0, count);
    for (uint64_t i = 0; i < 300; i++) {
        ++*next;
        CHECK_STATUS(set_long_lived(world->cache, *next, i % 2 ? 50 : len, *next), LARDER_OK);
        check_limit(world);
    }
    check_value(world->cache, *next, 50, *next);
}

static void limit_holds_with_everything_pinned(const struct setting *setting, size_t len, size_t limit)
{
    struct world world;
    uint64_t next = 1;
    set_context(setting->name, "everything pinned");
    world_begin(&world, setting, (size_t)setting->shards * LARGE_REGION_SIZE + 4096, PINS_OF_ALL);
    if (limit)
        CHECK_STATUS(larder_cache_set_memory_limit(world.cache, limit * setting->shards), LARDER_OK);
    int count = hold_until_full(&world, len, setting->shards > 1 ? 60 : 3, &next);
    CHECK(stats_of(world.cache).evictions == 0);
    CHECK(stats_of(world.cache).views == (uint32_t)count);
    check_all_held(&world, count, len);

    /* neither another value for a pinned key nor a reservation finds room, and no item is lost */
    larder_reservation reservation;
    for (int i = 0; i < count; i += 7) {
        larder_status status = set_long_lived(world.cache, holders[i].key, len, 9);
        CHECK_STATUS(status, LARDER_NO_MEMORY);
        CHECK_STATUS(reserve(world.cache, holders[i].key, len, 0, &reservation), LARDER_NO_MEMORY);
        check_limit(&world);
    }
    CHECK(stats_of(world.cache).failed_no_memory > 0 && stats_of(world.cache).reservations == 0);
    CHECK_STATUS(larder_cache_optimize(world.cache, 0, NULL), LARDER_OK);
    check_all_held(&world, count, len);
    room_comes_with_unpins(&world, count, len, &next);
    world_end(&world);
}

/* In a full cache of equal items at least half of them can be pinned one by one. A set fails if all unpinned items are
 * in pages with pinned ones. */
static void half_can_be_held_in_turn(const struct setting *setting, size_t len)
{
    struct world world;
    uint64_t next = 1;
    int count = 0, missed = 0;
    set_context(setting->name, "held in turn");
    world_begin(&world, setting, LARGE_REGION_SIZE, PINS_OF_ALL);
    CHECK_STATUS(set_long_lived(world.cache, 0, len, 0), LARDER_OK);
    CHECK_STATUS(pin(world.cache, 0, &holders[count].view), LARDER_OK);
    holders[count++].key = 0;
    while (stats_of(world.cache).evictions < 50) {
        CHECK_STATUS(set_long_lived(world.cache, next, len, next), LARDER_OK);
        next++;
    }
    int items = (int)larder_cache_item_count(world.cache);
    for (; count < PINS_OF_ALL && missed < 3; next++) {
        larder_status status = set_long_lived(world.cache, next, len, next);
        check_limit(&world);
        if (status == LARDER_OK) {
            CHECK_STATUS(pin(world.cache, next, &holders[count].view), LARDER_OK);
            holders[count++].key = next;
        } else {
            CHECK_STATUS(status, LARDER_NO_MEMORY);
            missed++;
        }
        check_cache(world.cache, &world.region);
    }
    CHECK(count == PINS_OF_ALL || count * 2 >= items);
    check_all_held(&world, count, len);
    room_comes_with_unpins(&world, count, len, &next);
    world_end(&world);
}

/* A limit below the pinned bytes is reached when the pins are released. Usage does not rise until then. */
static void lowered_limits_wait_for_unpins(const struct setting *setting, size_t len)
{
    size_t limit = (size_t)setting->shards * LARGE_REGION_SIZE / 4;
    struct world world;
    uint64_t next = 1;
    set_context(setting->name, "limit below what is held");
    world_begin(&world, setting, (size_t)setting->shards * LARGE_REGION_SIZE, PINS_OF_ALL);
    int count = hold_until_full(&world, len, setting->shards > 1 ? 60 : 3, &next);
    size_t usage = larder_cache_memory_usage(world.cache);
    CHECK_STATUS(larder_cache_set_memory_limit(world.cache, limit), LARDER_OK);
    CHECK_STATUS(larder_cache_optimize(world.cache, 0, NULL), LARDER_OK);
    for (uint64_t i = 0; i < 50; i++) {
        CHECK_STATUS(set_long_lived(world.cache, ++next, len, 0), LARDER_NO_MEMORY);
        CHECK(larder_cache_memory_usage(world.cache) <= usage);
        usage = larder_cache_memory_usage(world.cache);
    }
    check_cache(world.cache, &world.region);
    check_all_held(&world, count, len);
    for (int i = 0; i < count; i++)
        CHECK_STATUS(larder_cache_unpin(world.cache, &holders[i].view), LARDER_OK);
    CHECK_STATUS(larder_cache_optimize(world.cache, 0, NULL), LARDER_OK);
    check_limit(&world);
    CHECK(larder_cache_item_count(world.cache) > 0);
    for (uint64_t i = 0; i < 50; i++) {
        CHECK_STATUS(set_long_lived(world.cache, ++next, len, 0), LARDER_OK);
        check_limit(&world);
    }
    world_end(&world);
}

/* If some items are pinned and others are not, every set finds room. */
static void sets_work_beside_pinned_items(const struct setting *setting)
{
    struct world world;
    uint64_t random = 11;
    set_context(setting->name, "some pinned");
    world_begin(&world, setting, (size_t)setting->shards * REGION_SIZE, 0);
    for (uint64_t i = 0; i < 16; i++) {
        CHECK_STATUS(set_long_lived(world.cache, i, 10 + 40 * (size_t)i, i), LARDER_OK);
        CHECK_STATUS(pin(world.cache, i, &holders[i].view), LARDER_OK);
    }
    for (int i = 0; i < check_rounds(4000, 500); i++) {
        uint64_t key = 100 + next_random(&random) % 2000;
        CHECK_STATUS(set_long_lived(world.cache, key, (size_t)(next_random(&random) % 700), key), LARDER_OK);
        check_limit(&world);
        if (i % 64 == 0)
            check_cache(world.cache, &world.region);
    }
    for (uint64_t i = 0; i < 16; i++) {
        check_view(&world, &holders[i].view, 10 + 40 * (size_t)i, i);
        check_value(world.cache, i, 10 + 40 * (size_t)i, i);
        CHECK_STATUS(larder_cache_unpin(world.cache, &holders[i].view), LARDER_OK);
    }
    world_end(&world);
}

/* ---- zeroed bytes ---- */

#define MARK_BYTE 0x5B

/* Whether three adjacent marks are in the pages. The pages end at the region's end, or less than a page before it. */
static int marks_are_left(const struct world *world)
{
    larder_cache_stats_t stats = stats_of(world->cache);
    size_t run = 0, searched = ((size_t)stats.page_count + 1) * stats.page_size;
    for (size_t i = world->region.size - searched; i < world->region.size; i++) {
        run = world->region.memory[i] == MARK_BYTE ? run + 1 : 0;
        if (run == 3)
            return 1;
    }
    return 0;
}

static larder_status set_marks(larder_cache *cache, uint64_t key, size_t len)
{
    memset(pattern, MARK_BYTE, len);
    return larder_cache_set(cache, &key, sizeof key, pattern, len, LARDER_TTL_NEVER);
}

static void write_marks(larder_cache *cache, const larder_reservation *reservation)
{
    for (uint32_t i = 0; i < reservation->spans; i++) {
        void *data = NULL;
        size_t len = 0;
        CHECK_STATUS(larder_cache_reservation_span(cache, reservation, i, &data, &len), LARDER_OK);
        memset(data, MARK_BYTE, len);
    }
}

static void go_by_delete(struct world *world)
{
    CHECK_STATUS(delete_key(world->cache, 1), LARDER_OK);
}

static void go_by_set(struct world *world)
{
    CHECK_STATUS(set_long_lived(world->cache, 1, 2000, 1), LARDER_OK);
}

/* The first TTL of a pinned item makes a copy of the item. */
static void go_by_expiry(struct world *world)
{
    uint64_t key = 1;
    CHECK_STATUS(larder_cache_touch(world->cache, &key, sizeof key, HOUR_MS), LARDER_OK);
    world->now_ms += 2 * HOUR_MS;
    CHECK_STATUS(contains(world->cache, 1), LARDER_NOT_FOUND);
}

static void unpin_leaves_no_byte(const struct setting *setting, size_t len, void (*go)(struct world *world))
{
    struct world world;
    larder_view view, second;
    larder_reservation reservation;
    world_begin(&world, setting, LARGE_REGION_SIZE, 0);
    CHECK(!marks_are_left(&world));
    CHECK_STATUS(set_marks(world.cache, 1, len), LARDER_OK);
    CHECK_STATUS(pin(world.cache, 1, &view), LARDER_OK);
    CHECK_STATUS(pin(world.cache, 1, &second), LARDER_OK);
    go(&world);
    CHECK_STATUS(larder_cache_unpin(world.cache, &view), LARDER_OK);
    CHECK(marks_are_left(&world));
    CHECK_STATUS(larder_cache_unpin(world.cache, &second), LARDER_OK);
    CHECK(!marks_are_left(&world));

    CHECK_STATUS(reserve(world.cache, 2, len, 0, &reservation), LARDER_OK);
    write_marks(world.cache, &reservation);
    CHECK(marks_are_left(&world));
    CHECK_STATUS(larder_cache_abort(world.cache, &reservation), LARDER_OK);
    CHECK(!marks_are_left(&world));

    CHECK_STATUS(reserve(world.cache, 2, len, 0, &reservation), LARDER_OK);
    write_marks(world.cache, &reservation);
    CHECK_STATUS(larder_cache_commit(world.cache, &reservation), LARDER_OK);
    CHECK(marks_are_left(&world));
    CHECK_STATUS(reserve(world.cache, 2, 50, 0, &reservation), LARDER_OK);
    write_reservation(&world, &reservation, 5);
    CHECK(marks_are_left(&world));
    CHECK_STATUS(larder_cache_commit(world.cache, &reservation), LARDER_OK);
    CHECK(!marks_are_left(&world));
    world_end(&world);
}

static void no_byte_is_left(void)
{
    static const size_t lens[] = {3, 10, 100, 1000, 1001, 20000};
    static void (*const goes[])(struct world *world) = {go_by_delete, go_by_set, go_by_expiry};
    for (size_t s = 0; s < SETTING_COUNT; s++) {
        if (!(settings[s].flags & LARDER_ZERO_ON_FREE))
            continue;
        set_context(settings[s].name, "no byte is left");
        for (size_t l = 0; l < sizeof lens / sizeof lens[0]; l++)
            for (size_t g = 0; g < sizeof goes / sizeof goes[0]; g++)
                unpin_leaves_no_byte(&settings[s], lens[l], goes[g]);
    }
}

/* ---- all of it at random ---- */

enum { TOKEN_COUNT = 12, KEY_COUNT = 400 };

static struct {
    larder_view view;
    larder_reservation reservation;
    uint64_t key, seed;
    uint32_t changes; /* of the key by then */
    int kind; /* 0 = nothing, 1 = view, 2 = reservation */
} tokens[TOKEN_COUNT];

static uint64_t seeds[KEY_COUNT]; /* of each key's last value */
static uint32_t changes[KEY_COUNT]; /* sets, deletions and commits of each key */

/* The length is a function of the seed. */
static size_t len_of(uint64_t seed)
{
    return (size_t)(seed % 16 == 0 ? seed % 6000 : seed % 300);
}

static void take_token(const struct world *world, int i, uint64_t random)
{
    uint64_t key = random % KEY_COUNT, seed = random >> 20;
    larder_status status;
    if (random >> 10 & 1) {
        larder_status there = contains(world->cache, key);
        status = pin(world->cache, key, &tokens[i].view);
        CHECK_STATUS(status, there);
        seed = seeds[key];
        if (status == LARDER_OK)
            check_view(world, &tokens[i].view, len_of(seed), seed);
    } else {
        status = reserve(world->cache, key, len_of(seed), 0, &tokens[i].reservation);
        if (CHECK_STATUS(status, LARDER_OK))
            write_reservation(world, &tokens[i].reservation, seed);
    }
    tokens[i].kind = status != LARDER_OK ? 0 : random >> 10 & 1 ? 1 : 2;
    tokens[i].key = key;
    tokens[i].seed = seed;
    tokens[i].changes = changes[key];
}

static void give_token(const struct world *world, int i, uint64_t random)
{
    if (tokens[i].kind == 1) {
        check_view(world, &tokens[i].view, len_of(tokens[i].seed), tokens[i].seed);
        CHECK_STATUS(larder_cache_unpin(world->cache, &tokens[i].view), LARDER_OK);
    } else if (random & 1) {
        CHECK_STATUS(larder_cache_abort(world->cache, &tokens[i].reservation), LARDER_OK);
    } else if (tokens[i].changes != changes[tokens[i].key]) {
        CHECK_STATUS(larder_cache_commit(world->cache, &tokens[i].reservation), LARDER_STALE);
    } else {
        CHECK_STATUS(larder_cache_commit(world->cache, &tokens[i].reservation), LARDER_OK);
        changes[tokens[i].key]++;
        seeds[tokens[i].key] = tokens[i].seed;
        check_value(world->cache, tokens[i].key, len_of(tokens[i].seed), tokens[i].seed);
    }
    tokens[i].kind = 0;
}

static void change_something(struct world *world, uint64_t random)
{
    uint64_t key = random % KEY_COUNT, seed = random >> 20;
    larder_status status;
    switch (random >> 10 & 7) {
    case 0:
        status = delete_key(world->cache, key);
        CHECK(status == LARDER_OK || status == LARDER_NOT_FOUND);
        changes[key]++;
        break;
    case 1:
        status = larder_cache_touch(world->cache, &key, sizeof key, HOUR_MS);
        CHECK(status == LARDER_OK || status == LARDER_NOT_FOUND);
        world->now_ms += 1000 * 60;
        break;
    case 2:
        if (contains(world->cache, key) == LARDER_OK)
            check_value(world->cache, key, len_of(seeds[key]), seeds[key]);
        break;
    case 3:
        status = larder_cache_optimize(world->cache, 50, NULL);
        CHECK(status == LARDER_OK || status == LARDER_AGAIN);
        break;
    default:
        CHECK_STATUS(set_value(world->cache, key, len_of(seed), seed, random & 2048 ? HOUR_MS : 0), LARDER_OK);
        changes[key]++;
        seeds[key] = seed;
    }
}

static void random_calls_keep_views(const struct setting *setting, uint64_t seed)
{
    struct world world;
    uint64_t random = seed;
    set_context(setting->name, "whatever happens");
    world_begin(&world, setting, (size_t)setting->shards * LARGE_REGION_SIZE / 2, 0);
    memset(tokens, 0, sizeof tokens);
    memset(seeds, 0, sizeof seeds);
    memset(changes, 0, sizeof changes);
    for (int round = 0; round < check_rounds(4000, 400); round++) {
        int i = (int)(next_random(&random) % TOKEN_COUNT);
        if (round % 4)
            change_something(&world, next_random(&random));
        else if (tokens[i].kind)
            give_token(&world, i, next_random(&random));
        else
            take_token(&world, i, next_random(&random));
        check_limit(&world);
        if (round % 50 == 0)
            check_cache(world.cache, &world.region);
    }
    for (int i = 0; i < TOKEN_COUNT; i++)
        if (tokens[i].kind)
            give_token(&world, i, next_random(&random));
    CHECK(stats_of(world.cache).views == 0 && stats_of(world.cache).reservations == 0);
    CHECK_STATUS(larder_cache_clear(world.cache), LARDER_OK);
    world_end(&world);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    for (size_t s = 0; s < SETTING_COUNT; s++) {
        const struct setting *setting = &settings[s];
        for (size_t a = 0; a < sizeof actions / sizeof actions[0]; a++)
            views_outlive(setting, &actions[a]);
        the_rest_makes_room(setting);
        a_limit_is_reached_beside_pinned_items(setting);
        integers_change_beside_a_view(setting);
        last_unpin_frees(setting);
        forged_tokens_are_stale(setting);
        copies_stay_stale(setting);
        large_values_lie_in_spans(setting);
        reservations_are_not_found_before_the_commit(setting);
        old_values_stay_until_the_commit(setting);
        clear_keeps_views_and_voids_reservations(setting);
        limit_holds_with_everything_pinned(setting, 8000, 0);
        limit_holds_with_everything_pinned(setting, 5000, 200 * 1024);
        if (setting->shards == 1) {
            half_can_be_held_in_turn(setting, 8000);
            half_can_be_held_in_turn(setting, 6144);
            half_can_be_held_in_turn(setting, 10001);
        }
        lowered_limits_wait_for_unpins(setting, 8000);
        sets_work_beside_pinned_items(setting);
        random_calls_keep_views(setting, 17 + s);
    }
    ttls_count_from_the_commit();
    no_more_are_held_than_configured();
    too_many_pins_make_no_cache();
    no_byte_is_left();
    return check_end("behaviour_view");
}
