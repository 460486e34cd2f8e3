/* behaviour_many.c: a batch has the same results as its requests made by single calls. */
#include "check.h"

enum {
    REGION_SIZE = 40 * 1024,
    LARGE_REGION_SIZE = 1024 * 1024,
    HOUR_MS = 3600 * 1000,
    BATCH_MAX = 1000,
    KEY_MAX = 256,
    BUFFER_SIZE = 700
};

static unsigned char long_bytes[LARGE_REGION_SIZE + 128];

static larder_set_request set_request(const void *key, size_t key_len, const void *value, size_t value_len)
{
    larder_set_request request;
    memset(&request, DIRT_BYTE, sizeof request);
    request.key = key;
    request.key_len = key_len;
    request.value = value;
    request.value_len = value_len;
    request.ttl_ms = LARDER_TTL_DEFAULT;
    return request;
}

static larder_get_request get_request(const void *key, size_t key_len, void *buffer, size_t capacity)
{
    larder_get_request request;
    memset(&request, DIRT_BYTE, sizeof request);
    request.key = key;
    request.key_len = key_len;
    request.buffer = buffer;
    request.capacity = capacity;
    return request;
}

/* ---- twins ---- */

/* Two caches of one configuration: one get_batch single calls, the other get_batch batches. */
struct twins {
    struct region single_region, many_region;
    larder_cache *single, *many;
    uint64_t now_ms;
};

struct setting {
    const char *name;
    size_t region_size;
    uint32_t shards, policy, flags;
    uint64_t default_ttl_ms;
};

static const struct setting settings[] = {
    {"roomy", LARGE_REGION_SIZE, 1, LARDER_POLICY_DEFAULT, 0, 0},
    {"roomy, eight shards", LARGE_REGION_SIZE, 8, LARDER_POLICY_DEFAULT, 0, 0},
    {"evicting", REGION_SIZE, 1, LARDER_POLICY_DEFAULT, 0, 0},
    {"evicting, LRU, times", REGION_SIZE, 1, LARDER_POLICY_LRU, LARDER_ITEM_TIMES, 0},
    {"evicting, eight shards", 2 * REGION_SIZE, 8, LARDER_POLICY_DEFAULT, 0, 0},
    {"evicting, eight shards, LRU", 2 * REGION_SIZE, 8, LARDER_POLICY_LRU, 0, 0},
    {"evicting, a default TTL", REGION_SIZE, 1, LARDER_POLICY_DEFAULT, LARDER_SINGLE_THREAD, HOUR_MS},
};

static void twins_begin(struct twins *twins, const struct setting *setting)
{
    twins->single_region = region_new(setting->region_size);
    twins->many_region = region_new(setting->region_size);
    twins->now_ms = 1000 * 1000;
    larder_cache_config config = config_with_clock(&twins->now_ms);
    config.shards = setting->shards;
    config.policy = setting->policy;
    config.flags |= setting->flags;
    config.default_ttl_ms = setting->default_ttl_ms;
    config.hash_seed = 4711;
    twins->single = cache_new(&twins->single_region, &config);
    twins->many = cache_new(&twins->many_region, &config);
}

/* Checks that both caches have the same counters and items. */
static void check_twins(const struct twins *twins)
{
    larder_cache_stats_t single = stats_of(twins->single), many = stats_of(twins->many);
    CHECK(many.item_count == single.item_count && many.payload_bytes == single.payload_bytes);
    CHECK(many.hits == single.hits && many.misses == single.misses);
    CHECK(many.sets == single.sets && many.updates == single.updates);
    CHECK(many.evictions == single.evictions && many.expirations == single.expirations);
    CHECK(many.failed_too_large == single.failed_too_large);
    CHECK(many.failed_buffer_too_small == single.failed_buffer_too_small);
    CHECK(many.failed_no_memory == single.failed_no_memory && many.failed_busy == single.failed_busy);
    check_cache(twins->single, &twins->single_region);
    check_cache(twins->many, &twins->many_region);
}

static void twins_end(struct twins *twins)
{
    check_twins(twins);
    region_free(&twins->single_region);
    region_free(&twins->many_region);
}

/* ---- batches ---- */

static unsigned char keys[BATCH_MAX][KEY_MAX];
static unsigned char many_buffers[BATCH_MAX][BUFFER_SIZE], single_buffer[BUFFER_SIZE];
static larder_set_request set_batch[BATCH_MAX], set_before[BATCH_MAX];
static larder_get_request get_batch[BATCH_MAX], get_before[BATCH_MAX];

/* Writes one of a few hundred keys of eight or more bytes. Returns its length. */
static size_t write_key(unsigned char *key, uint64_t random)
{
    uint64_t number = random % 400;
    memcpy(key, &number, sizeof number);
    memset(key + sizeof number, (int)number, KEY_MAX - sizeof number);
    return number % 7 ? sizeof number : sizeof number + (size_t)number % 60;
}

static larder_set_request random_set(unsigned char *key, uint64_t random)
{
    size_t key_len = write_key(key, random >> 32), len = (size_t)(random % 97);
    larder_set_request request = set_request(key, key_len, long_bytes + (random >> 8) % 100, len);
    request.ttl_ms = random >> 20 & 3 ? LARDER_TTL_DEFAULT : 1 + (random >> 24) % HOUR_MS;
    switch (random >> 16 & 63) {
    case 0:
        request.key = NULL;
        break;
    case 1:
        request.key_len = 0;
        break;
    case 2:
        request.key_len = KEY_MAX;
        break;
    case 3:
        request.value_len = LARGE_REGION_SIZE;
        break;
    case 4:
        request.value_len = SIZE_MAX;
        break;
    case 5:
        request.value = NULL;
        request.value_len = len + 1;
        break;
    case 6:
        request.value = NULL;
        request.value_len = 0;
        break;
    case 7:
        request.value_len = 600 + len;
        break;
    case 8:
        request.value_len = 3000;
        break;
    case 9:
        request.ttl_ms = LARDER_TTL_NEVER;
        break;
    default:
        break;
    }
    return request;
}

static larder_get_request random_get(unsigned char *key, unsigned char *buffer, uint64_t random)
{
    size_t key_len = write_key(key, random >> 32);
    larder_get_request request = get_request(key, key_len, buffer, BUFFER_SIZE);
    switch (random >> 16 & 31) {
    case 0:
        request.key = NULL;
        break;
    case 1:
        request.key_len = 0;
        break;
    case 2:
        request.key_len = KEY_MAX;
        break;
    case 3:
        request.buffer = NULL;
        break;
    case 4:
        request.buffer = NULL;
        request.capacity = 0;
        break;
    case 5:
    case 6:
        request.capacity = (size_t)(random % 60);
        break;
    case 7:
        key[0] ^= 0xFF;
        key[2] = 1; /* no such key */
        break;
    default:
        break;
    }
    return request;
}

/* Whether only the status changed. */
static int set_request_is_kept(larder_set_request now, larder_set_request before)
{
    now.status = before.status;
    return memcmp(&now, &before, sizeof now) == 0;
}

static void run_sets(const struct twins *twins, size_t count, uint64_t *random)
{
    for (size_t i = 0; i < count; i++)
        set_before[i] = set_batch[i] = random_set(keys[i], next_random(random));
    CHECK_STATUS(larder_cache_set_many(twins->many, set_batch, count), LARDER_OK);
    for (size_t i = 0; i < count; i++) {
        const larder_set_request *s = &set_before[i];
        larder_status want = larder_cache_set(twins->single, s->key, s->key_len, s->value, s->value_len, s->ttl_ms);
        CHECK_STATUS(set_batch[i].status, want);
        CHECK(set_request_is_kept(set_batch[i], *s));
    }
}

/* Whether only the status and, if the call returns one, the length changed. */
static int get_request_is_kept(larder_get_request now, larder_get_request before)
{
    if (now.status == LARDER_OK || now.status == LARDER_BUFFER_TOO_SMALL)
        now.value_len = before.value_len;
    now.status = before.status;
    return memcmp(&now, &before, sizeof now) == 0;
}

static void run_gets(const struct twins *twins, size_t count, uint64_t *random)
{
    memset(many_buffers, DIRT_BYTE, sizeof many_buffers);
    for (size_t i = 0; i < count; i++)
        get_before[i] = get_batch[i] = random_get(keys[i], many_buffers[i], next_random(random));
    CHECK_STATUS(larder_cache_get_many(twins->many, get_batch, count), LARDER_OK);
    for (size_t i = 0; i < count; i++) {
        const larder_get_request *g = &get_before[i];
        size_t len = 0;
        memset(single_buffer, DIRT_BYTE, sizeof single_buffer);
        void *buffer = g->buffer ? single_buffer : NULL;
        larder_status want = larder_cache_get(twins->single, g->key, g->key_len, buffer, g->capacity, &len);
        CHECK_STATUS(get_batch[i].status, want);
        CHECK(get_request_is_kept(get_batch[i], *g));
        CHECK(memcmp(many_buffers[i], single_buffer, sizeof single_buffer) == 0);
        if (want == LARDER_OK || want == LARDER_BUFFER_TOO_SMALL)
            CHECK(get_batch[i].value_len == len);
    }
}

static void batches_are_single_calls(const struct setting *setting)
{
    static const size_t counts[] = {0, 1, 7, 8, 9, 64, BATCH_MAX};
    enum { COUNTS = sizeof counts / sizeof counts[0] };
    struct twins twins;
    uint64_t random = 99;
    set_context("set_many, get_many", setting->name);
    twins_begin(&twins, setting);
    for (int round = 0; round < check_rounds(8, 2); round++)
        for (size_t i = 0; i < COUNTS; i++) {
            run_sets(&twins, counts[i], &random);
            check_twins(&twins);
            run_gets(&twins, counts[COUNTS - 1 - i], &random);
            check_twins(&twins);
            twins.now_ms += next_random(&random) % (HOUR_MS / 4);
        }
    larder_cache_stats_t stats = stats_of(twins.many);
    CHECK(stats.hits > 0 && stats.misses > 0 && stats.updates > 0 && stats.expirations > 0);
    CHECK(stats.failed_too_large > 0 && stats.failed_buffer_too_small > 0);
    CHECK((stats.evictions > 0) == (setting->region_size < LARGE_REGION_SIZE));
    twins_end(&twins);
}

/* ---- batches whose answers are known ---- */

static larder_cache *cache_with_shards(const struct region *region, uint32_t shards)
{
    larder_cache_config config = config_default();
    config.shards = shards;
    return cache_new(region, &config);
}

static void check_value(larder_cache *cache, const void *key, size_t key_len, const void *value, size_t value_len)
{
    size_t len = value_len + 1;
    CHECK_STATUS(larder_cache_get(cache, key, key_len, single_buffer, sizeof single_buffer, &len), LARDER_OK);
    CHECK(len == value_len && memcmp(single_buffer, value, value_len) == 0);
}

/* Of several values for a key in one batch, the last one stays. */
static void last_set_wins(uint32_t shards)
{
    struct region region = region_new(LARGE_REGION_SIZE);
    larder_cache *cache = cache_with_shards(&region, shards);
    static uint32_t values[BATCH_MAX];
    set_context("set_many", "duplicates");
    for (uint64_t key_count = 1; key_count <= 50; key_count++) {
        uint64_t numbers[50];
        for (uint64_t i = 0; i < key_count; i++)
            numbers[i] = i;
        for (size_t i = 0; i < 100; i++) {
            values[i] = (uint32_t)(key_count * 1000 + i);
            set_batch[i] = set_request(&numbers[i * i % key_count], sizeof numbers[0], &values[i], sizeof values[i]);
        }
        CHECK_STATUS(larder_cache_set_many(cache, set_batch, 100), LARDER_OK);
        for (size_t i = 0; i < 100; i++) {
            size_t last = i;
            for (size_t j = i + 1; j < 100; j++)
                if (set_batch[j].key == set_batch[i].key)
                    last = j;
            CHECK_STATUS(set_batch[i].status, LARDER_OK);
            check_value(cache, set_batch[i].key, sizeof numbers[0], &values[last], sizeof values[last]);
        }
    }
    CHECK(stats_of(cache).sets == 5000 && stats_of(cache).updates == 5000 - larder_cache_item_count(cache));
    check_cache(cache, &region);
    region_free(&region);
}

/* Nine requests; every second one is bad. */
static void bad_requests_do_not_hurt_others(uint32_t shards)
{
    static const larder_status set_wants[] = {LARDER_OK, LARDER_INVALID,   LARDER_OK, LARDER_INVALID, LARDER_OK,
                                              LARDER_TOO_LARGE, LARDER_OK, LARDER_TOO_LARGE, LARDER_INVALID};
    static const larder_status get_wants[] = {LARDER_OK,        LARDER_INVALID,          LARDER_OK,
                                              LARDER_INVALID,   LARDER_BUFFER_TOO_SMALL, LARDER_TOO_LARGE,
                                              LARDER_NOT_FOUND, LARDER_INVALID,          LARDER_BUFFER_TOO_SMALL};
    struct region region = region_new(LARGE_REGION_SIZE);
    larder_cache *cache = cache_with_shards(&region, shards);
    set_context("set_many", "bad requests");
    set_batch[0] = set_request("a", 1, "1st", 3);
    set_batch[1] = set_request(NULL, 1, "x", 1);
    set_batch[2] = set_request("b", 1, NULL, 0);
    set_batch[3] = set_request("a", 0, "x", 1);
    set_batch[4] = set_request("c", 1, "third", 5);
    set_batch[5] = set_request(long_bytes, KEY_MAX, "x", 1);
    set_batch[6] = set_request("a", 1, "fourth", 6);
    set_batch[7] = set_request("a", 1, long_bytes, LARGE_REGION_SIZE);
    set_batch[8] = set_request("a", 1, NULL, 1);
    CHECK_STATUS(larder_cache_set_many(cache, set_batch, 9), LARDER_OK);
    for (size_t i = 0; i < 9; i++)
        CHECK_STATUS(set_batch[i].status, set_wants[i]);
    CHECK(larder_cache_item_count(cache) == 3);

    set_context("get_many", "bad requests");
    memset(many_buffers, DIRT_BYTE, sizeof many_buffers);
    for (size_t i = 0; i < 9; i++)
        get_batch[i] = get_request("a", 1, many_buffers[i], 6);
    get_batch[1].key = NULL;
    get_batch[2].key = "b";
    get_batch[3].key_len = 0;
    get_batch[4].capacity = 5;
    get_batch[5].key = long_bytes;
    get_batch[5].key_len = KEY_MAX;
    get_batch[6].key = "d";
    get_batch[7].buffer = NULL;
    get_batch[8].key = "c";
    get_batch[8].buffer = NULL;
    get_batch[8].capacity = 0;
    memcpy(get_before, get_batch, sizeof get_batch);
    CHECK_STATUS(larder_cache_get_many(cache, get_batch, 9), LARDER_OK);
    for (size_t i = 0; i < 9; i++) {
        CHECK_STATUS(get_batch[i].status, get_wants[i]);
        CHECK(get_request_is_kept(get_batch[i], get_before[i]));
        CHECK(all_bytes_are(many_buffers[i] + 6, BUFFER_SIZE - 6, DIRT_BYTE));
        CHECK(i == 0 || all_bytes_are(many_buffers[i], 6, DIRT_BYTE));
    }
    CHECK(get_batch[0].value_len == 6 && memcmp(many_buffers[0], "fourth", 6) == 0);
    CHECK(get_batch[2].value_len == 0 && get_batch[4].value_len == 6 && get_batch[8].value_len == 5);
    check_cache(cache, &region);
    region_free(&region);
}

static void ttls_are_those_of_the_requests(uint32_t shards)
{
    static const uint64_t ttls_ms[] = {HOUR_MS, LARDER_TTL_NEVER, LARDER_TTL_DEFAULT, 2 * HOUR_MS};
    struct region region = region_new(LARGE_REGION_SIZE);
    uint64_t now_ms = 1000, ttl_keys[20], ttl_ms = 0;
    larder_cache_config config = config_with_clock(&now_ms);
    config.shards = shards;
    config.default_ttl_ms = 3 * HOUR_MS;
    larder_cache *cache = cache_new(&region, &config);
    set_context("set_many", "TTL");
    for (uint64_t i = 0; i < 20; i++) {
        ttl_keys[i] = i;
        set_batch[i] = set_request(&ttl_keys[i], sizeof ttl_keys[i], "v", 1);
        set_batch[i].ttl_ms = ttls_ms[i % 4];
    }
    CHECK_STATUS(larder_cache_set_many(cache, set_batch, 20), LARDER_OK);
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t want = ttls_ms[i % 4] == LARDER_TTL_DEFAULT ? 3 * HOUR_MS : ttls_ms[i % 4];
        CHECK_STATUS(larder_cache_ttl(cache, &ttl_keys[i], sizeof ttl_keys[i], &ttl_ms), LARDER_OK);
        CHECK(ttl_ms == want);
        get_batch[i] = get_request(&ttl_keys[i], sizeof ttl_keys[i], many_buffers[i], BUFFER_SIZE);
    }
    now_ms += 2 * HOUR_MS;
    CHECK_STATUS(larder_cache_get_many(cache, get_batch, 20), LARDER_OK);
    for (uint64_t i = 0; i < 20; i++)
        CHECK_STATUS(get_batch[i].status, i % 4 == 0 || i % 4 == 3 ? LARDER_NOT_FOUND : LARDER_OK);
    CHECK(stats_of(cache).expirations == 10 && larder_cache_item_count(cache) == 10);
    check_cache(cache, &region);
    region_free(&region);
}

static void no_array_is_no_requests(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    set_context("get_many, set_many", "NULL array");
    CHECK_STATUS(larder_cache_get_many(cache, NULL, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_set_many(cache, NULL, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_get_many(cache, NULL, 1), LARDER_INVALID);
    CHECK_STATUS(larder_cache_set_many(cache, NULL, 1), LARDER_INVALID);
    CHECK_STATUS(larder_cache_get_many(cache, NULL, SIZE_MAX), LARDER_INVALID);
    CHECK_STATUS(larder_cache_set_many(cache, NULL, SIZE_MAX), LARDER_INVALID);
    check_cache(cache, &region);
    region_free(&region);
}

/* ---- busy ---- */

enum { BUSY_COUNT = 20 };

/* Checks that a whole batch is LARDER_BUSY: each request has that status, and no buffer is written. */
static void check_all_busy(larder_cache *cache)
{
    static unsigned char busy_buffers[BUSY_COUNT][8];
    static uint64_t numbers[BUSY_COUNT];
    larder_get_request busy_gets[BUSY_COUNT], got;
    larder_set_request busy_sets[BUSY_COUNT], set;
    memset(busy_buffers, DIRT_BYTE, sizeof busy_buffers);
    for (uint64_t i = 0; i < BUSY_COUNT; i++) {
        numbers[i] = i;
        busy_gets[i] = get_request(&numbers[i], sizeof numbers[i], busy_buffers[i], sizeof busy_buffers[i]);
        busy_sets[i] = set_request(&numbers[i], sizeof numbers[i], "busy", 4);
    }
    got = busy_gets[0];
    set = busy_sets[0];
    CHECK_STATUS(larder_cache_get_many(cache, busy_gets, BUSY_COUNT), LARDER_BUSY);
    CHECK_STATUS(larder_cache_set_many(cache, busy_sets, BUSY_COUNT), LARDER_BUSY);
    for (size_t i = 0; i < BUSY_COUNT; i++) {
        CHECK_STATUS(busy_gets[i].status, LARDER_BUSY);
        CHECK_STATUS(busy_sets[i].status, LARDER_BUSY);
    }
    CHECK(get_request_is_kept(busy_gets[0], got) && set_request_is_kept(busy_sets[0], set));
    CHECK(all_bytes_are(busy_buffers, sizeof busy_buffers, DIRT_BYTE));
}

struct reentry {
    larder_cache *cache;
    uint64_t events, items;
};

static void reenter_on_event(void *ctx, const larder_event *event)
{
    struct reentry *reentry = (struct reentry *)ctx;
    reentry->events++;
    reentry->items += event->items;
    check_all_busy(reentry->cache);
}

static int32_t reenter_on_visit(void *ctx, const larder_item_info *item)
{
    (void)item;
    ((struct reentry *)ctx)->events++;
    check_all_busy(((struct reentry *)ctx)->cache);
    return 1;
}

static void callbacks_are_busy(uint32_t shards)
{
    static uint64_t numbers[BATCH_MAX];
    struct region region = region_new(2 * REGION_SIZE);
    struct reentry reentry = {NULL, 0, 0};
    larder_cursor cursor = {0};
    larder_cache_config config = config_default();
    config.shards = shards;
    config.on_event = reenter_on_event;
    config.event_ctx = &reentry;
    larder_cache *cache = reentry.cache = cache_new(&region, &config);
    set_context("get_many, set_many", "from a callback");
    for (uint64_t round = 0; round < (uint64_t)check_rounds(5, 2); round++) {
        for (uint64_t i = 0; i < BATCH_MAX; i++) {
            numbers[i] = (round + 1) * BATCH_MAX + i;
            set_batch[i] = set_request(&numbers[i], sizeof numbers[i], long_bytes, 100 + (size_t)(i % 50));
        }
        CHECK_STATUS(larder_cache_set_many(cache, set_batch, BATCH_MAX), LARDER_OK);
        for (size_t i = 0; i < BATCH_MAX; i++)
            CHECK_STATUS(set_batch[i].status, LARDER_OK);
        CHECK(reentry.items == stats_of(cache).evictions);
    }
    CHECK(reentry.events > 0 && stats_of(cache).failed_busy == 2 * reentry.events);
    for (uint64_t i = 0; i < BUSY_COUNT; i++)
        CHECK_STATUS(larder_cache_contains(cache, &i, sizeof i), LARDER_NOT_FOUND);

    uint64_t events = reentry.events;
    CHECK_STATUS(larder_cache_scan(cache, &cursor, reenter_on_visit, &reentry), LARDER_AGAIN);
    CHECK(reentry.events == events + 1);
    check_cache(cache, &region);
    region_free(&region);
}

/* A lock that is refused after `locks_left` times. */
static int32_t locks_left;

static int32_t take_lock(void *ctx)
{
    (void)ctx;
    if (locks_left == 0)
        return 1;
    locks_left--;
    return 0;
}

static void give_lock(void *ctx)
{
    (void)ctx;
}

enum { REFUSED_COUNT = 100 };

static uint64_t refused_numbers[REFUSED_COUNT], refused_values[REFUSED_COUNT];

/* Sets, with the lock refused after `left` times. Returns the number of requests served. */
static size_t set_until_refused(larder_cache *cache, int32_t left)
{
    size_t served = 0;
    for (uint64_t i = 0; i < REFUSED_COUNT; i++) {
        refused_numbers[i] = i;
        refused_values[i] = i + 1000;
        set_batch[i] =
            set_request(&refused_numbers[i], sizeof refused_numbers[i], &refused_values[i], sizeof refused_values[i]);
    }
    locks_left = left;
    larder_status status = larder_cache_set_many(cache, set_batch, REFUSED_COUNT);
    locks_left = INT32_MAX;
    for (size_t i = 0; i < REFUSED_COUNT; i++)
        if (set_batch[i].status == LARDER_OK)
            served++;
        else
            CHECK_STATUS(set_batch[i].status, LARDER_BUSY);
    CHECK_STATUS(status, served < REFUSED_COUNT ? LARDER_BUSY : LARDER_OK);
    CHECK(left > 0 || served == 0);
    return served;
}

/* The same with gets. Each request returns the value set before, or is left unchanged. */
static void get_until_refused(larder_cache *cache, int32_t left)
{
    size_t served = 0;
    memset(many_buffers, DIRT_BYTE, sizeof many_buffers);
    for (size_t i = 0; i < REFUSED_COUNT; i++)
        get_batch[i] = get_request(&refused_numbers[i], sizeof refused_numbers[i], many_buffers[i], BUFFER_SIZE);
    locks_left = left;
    larder_status status = larder_cache_get_many(cache, get_batch, REFUSED_COUNT);
    locks_left = INT32_MAX;
    for (size_t i = 0; i < REFUSED_COUNT; i++) {
        larder_status want = set_batch[i].status == LARDER_OK ? LARDER_OK : LARDER_NOT_FOUND;
        CHECK_STATUS(larder_cache_contains(cache, &refused_numbers[i], sizeof refused_numbers[i]), want);
        if (get_batch[i].status == LARDER_BUSY) {
            CHECK(all_bytes_are(many_buffers[i], BUFFER_SIZE, DIRT_BYTE));
            continue;
        }
        served++;
        CHECK_STATUS(get_batch[i].status, want);
        if (want == LARDER_OK)
            CHECK(get_batch[i].value_len == sizeof refused_values[i] &&
                  memcmp(many_buffers[i], &refused_values[i], sizeof refused_values[i]) == 0);
    }
    CHECK_STATUS(status, served < REFUSED_COUNT ? LARDER_BUSY : LARDER_OK);
    CHECK(left > 0 || served == 0);
}

/* If the lock is refused halfway, some requests are served, and the others are LARDER_BUSY. */
static void refused_locks_leave_the_rest_busy(uint32_t shards)
{
    struct region region = region_new(LARGE_REGION_SIZE);
    larder_cache_config config = config_default();
    config.shards = shards;
    config.lock = config.try_lock = take_lock;
    config.unlock = give_lock;
    locks_left = INT32_MAX;
    larder_cache *cache = cache_new(&region, &config);
    set_context("get_many, set_many", "lock refused");
    for (int32_t left = 0; left < 20; left++) {
        CHECK_STATUS(larder_cache_clear(cache), LARDER_OK);
        size_t served = set_until_refused(cache, left);
        CHECK(larder_cache_item_count(cache) == served);
        get_until_refused(cache, left);
        check_cache(cache, &region);
    }
    CHECK(set_until_refused(cache, INT32_MAX) == REFUSED_COUNT);
    get_until_refused(cache, INT32_MAX);
    region_free(&region);
}

int main(int argc, char **argv)
{
    static const uint32_t shards[] = {1, 8};
    uint64_t random = 1;
    check_begin(argc, argv);
    for (size_t i = 0; i < sizeof long_bytes; i++)
        long_bytes[i] = (unsigned char)(next_random(&random) >> 32);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        batches_are_single_calls(&settings[i]);
    for (size_t i = 0; i < sizeof shards / sizeof shards[0]; i++) {
        last_set_wins(shards[i]);
        bad_requests_do_not_hurt_others(shards[i]);
        ttls_are_those_of_the_requests(shards[i]);
        callbacks_are_busy(shards[i]);
        refused_locks_leave_the_rest_busy(shards[i]);
    }
    no_array_is_no_requests();
    return check_end("behaviour_many");
}
