/* bad_input_view.c: every bad value of every parameter of the calls on views, reservations and batches, and of the
 * calls that do not wait, is refused and changes nothing.
 *
 * A case is a good call with one bad parameter. Each case starts from the same cache, with a view and a reservation in
 * use and others released. It compares cache and outputs after the call with those before. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024, KEY_LEN_MAX = 255, VALUE_LEN = 3000, OUT_SIZE = 256, REQUEST_COUNT = 2 };

/* All parameters of the calls. */
struct args {
    larder_cache *cache;
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
    void *buffer;
    size_t capacity;
    void *out;
    larder_view *view;
    larder_reservation *reservation;
    uint32_t index;
    void *data_out;
    size_t *len_out;
    larder_get_request *get_batch;
    larder_set_request *set_batch;
    size_t count;
};

/* Parameters that can be bad. The cache is a parameter of every call. */
enum {
    CACHE = 1,
    KEY = 2,
    VALUE = 4,
    RESERVED = 8, /* a value's length without the value */
    BUFFER = 16,
    OUT = 32,
    PRESENT = 64, /* the key must have an item */
    VIEW = 128,
    RESERVATION = 256,
    SPAN = 512,
    BATCH = 1024,
    SPANS = 2048
};

struct function {
    const char *name;
    larder_status (*call)(const struct args *args);
    const char *key; /* of the good call */
    int params;
};

static larder_status call_pin(const struct args *a)
{
    return larder_cache_pin(a->cache, a->key, a->key_len, (larder_view *)a->out);
}

static larder_status call_unpin(const struct args *a)
{
    return larder_cache_unpin(a->cache, a->view);
}

static larder_status call_view_span(const struct args *a)
{
    return larder_cache_view_span(a->cache, a->view, a->index, (const void **)a->data_out, a->len_out);
}

static larder_status call_view_spans(const struct args *a)
{
    larder_span *spans = a->data_out ? (larder_span *)a->out : NULL;
    return larder_cache_view_spans(a->cache, a->view, spans, 16, a->len_out);
}

static larder_status call_reservation_spans(const struct args *a)
{
    larder_span *spans = a->data_out ? (larder_span *)a->out : NULL;
    return larder_cache_reservation_spans(a->cache, a->reservation, spans, 16, a->len_out);
}

static larder_status call_reserve(const struct args *a)
{
    return larder_cache_reserve(a->cache, a->key, a->key_len, a->value_len, 0, (larder_reservation *)a->out);
}

static larder_status call_reservation_span(const struct args *a)
{
    return larder_cache_reservation_span(a->cache, a->reservation, a->index, (void **)a->data_out, a->len_out);
}

static larder_status call_commit(const struct args *a)
{
    return larder_cache_commit(a->cache, a->reservation);
}

static larder_status call_abort(const struct args *a)
{
    return larder_cache_abort(a->cache, a->reservation);
}

static larder_status call_get_many(const struct args *a)
{
    return larder_cache_get_many(a->cache, a->get_batch, a->count);
}

static larder_status call_set_many(const struct args *a)
{
    return larder_cache_set_many(a->cache, a->set_batch, a->count);
}

static larder_status call_try_get(const struct args *a)
{
    return larder_cache_try_get(a->cache, a->key, a->key_len, a->buffer, a->capacity, (size_t *)a->out);
}

static larder_status call_try_set(const struct args *a)
{
    return larder_cache_try_set(a->cache, a->key, a->key_len, a->value, a->value_len, 0);
}

static larder_status call_try_delete(const struct args *a)
{
    return larder_cache_try_delete(a->cache, a->key, a->key_len);
}

static const struct function functions[] = {
    {"pin", call_pin, "short", CACHE | KEY | OUT | PRESENT},
    {"pin (held)", call_pin, "held", CACHE | KEY | OUT | PRESENT},
    {"unpin", call_unpin, "", CACHE | VIEW},
    {"view_span", call_view_span, "", CACHE | VIEW | SPAN},
    {"view_spans", call_view_spans, "", CACHE | VIEW | SPANS},
    {"reservation_spans", call_reservation_spans, "", CACHE | RESERVATION | SPANS},
    {"reserve", call_reserve, "fresh", CACHE | KEY | OUT | RESERVED},
    {"reserve (update)", call_reserve, "short", CACHE | KEY | OUT | RESERVED},
    {"reservation_span", call_reservation_span, "", CACHE | RESERVATION | SPAN},
    {"commit", call_commit, "", CACHE | RESERVATION},
    {"abort", call_abort, "", CACHE | RESERVATION},
    {"get_many", call_get_many, "", CACHE | BATCH},
    {"set_many", call_set_many, "", CACHE | BATCH},
    {"try_get", call_try_get, "short", CACHE | KEY | BUFFER | OUT | PRESENT},
    {"try_set", call_try_set, "fresh", CACHE | KEY | VALUE},
    {"try_set (update)", call_try_set, "short", CACHE | KEY | VALUE},
    {"try_delete", call_try_delete, "short", CACHE | KEY | PRESENT},
};

/* ---- the world ---- */

static unsigned char long_bytes[REGION_SIZE + 1];

struct world {
    struct region region;
    larder_cache *cache;
    uint64_t now_ms;
    larder_view view, view_gone;
    larder_reservation reservation, committed, aborted;
};

static void world_begin(struct world *world)
{
    world->region = region_new(REGION_SIZE);
    world->now_ms = 1000 * 1000;
    larder_cache_config config = config_with_clock(&world->now_ms);
    larder_cache *cache = world->cache = cache_new(&world->region, &config);
    CHECK_STATUS(larder_cache_set(cache, "held", 4, long_bytes, VALUE_LEN, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "short", 5, "0123456789", 10, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "empty", 5, NULL, 0, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_pin(cache, "held", 4, &world->view), LARDER_OK);
    CHECK_STATUS(larder_cache_reserve(cache, "next", 4, VALUE_LEN, 0, &world->reservation), LARDER_OK);
    CHECK_STATUS(larder_cache_pin(cache, "short", 5, &world->view_gone), LARDER_OK);
    CHECK_STATUS(larder_cache_unpin(cache, &world->view_gone), LARDER_OK);
    CHECK_STATUS(larder_cache_reserve(cache, "empty", 5, 0, 0, &world->committed), LARDER_OK);
    CHECK_STATUS(larder_cache_commit(cache, &world->committed), LARDER_OK);
    CHECK_STATUS(larder_cache_reserve(cache, "empty", 5, 9, 0, &world->aborted), LARDER_OK);
    CHECK_STATUS(larder_cache_abort(cache, &world->aborted), LARDER_OK);
    CHECK(world->view.spans > 1 && world->reservation.spans > 1);
}

static void world_end(struct world *world)
{
    check_cache(world->cache, &world->region);
    region_free(&world->region);
}

/* Statistics and contents of a cache. */
struct snapshot {
    larder_cache_stats_t stats;
    uint64_t items, sum;
    uint64_t ttls_ms[3];
};

static int32_t add_item(void *ctx, const larder_item_info *item)
{
    struct snapshot *s = (struct snapshot *)ctx;
    const unsigned char *key = (const unsigned char *)item->key, *value = (const unsigned char *)item->value;
    uint64_t sum = item->value_len;
    for (size_t i = 0; i < item->key_len; i++)
        sum = sum * 31 + key[i];
    for (size_t i = 0; i < item->span_len; i++)
        sum = sum * 31 + value[i];
    s->items++;
    s->sum += sum;
    return 0;
}

static void forget_failures(larder_cache_stats_t *stats)
{
    stats->failed_no_memory = stats->failed_too_large = stats->failed_exists = 0;
    stats->failed_type_mismatch = stats->failed_buffer_too_small = stats->failed_busy = 0;
}

static struct snapshot snapshot_of(const struct world *world)
{
    static const char *const keys[] = {"held", "short", "empty"};
    struct snapshot s;
    larder_cursor cursor = {0};
    memset(&s, 0, sizeof s);
    s.stats = stats_of(world->cache);
    forget_failures(&s.stats);
    CHECK_STATUS(larder_cache_scan(world->cache, &cursor, add_item, &s), LARDER_OK);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(larder_cache_ttl(world->cache, keys[i], strlen(keys[i]), &s.ttls_ms[i]), LARDER_OK);
    return s;
}

/* Checks that view and reservation can still be read, written and released. */
static void check_still_held(struct world *world)
{
    larder_cache *cache = world->cache;
    size_t at = 0, len = 0;
    for (uint32_t i = 0; i < world->view.spans; i++, at += len) {
        const void *data = NULL;
        CHECK_STATUS(larder_cache_view_span(cache, &world->view, i, &data, &len), LARDER_OK);
        CHECK(memcmp(data, long_bytes + at, len) == 0);
    }
    CHECK(at == VALUE_LEN);
    CHECK_STATUS(larder_cache_contains(cache, "next", 4), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_commit(cache, &world->reservation), LARDER_OK);
    CHECK_STATUS(larder_cache_contains(cache, "next", 4), LARDER_OK);
    CHECK_STATUS(larder_cache_unpin(cache, &world->view), LARDER_OK);
    CHECK(stats_of(cache).views == 0 && stats_of(cache).reservations == 0);
}

/* ---- the outputs ---- */

static union {
    unsigned char bytes[OUT_SIZE];
    uint64_t aligned;
} out;
static unsigned char buffer[OUT_SIZE];
static union {
    void *data;
    unsigned char bytes[sizeof(void *)];
} data_out;
static size_t len_out;

/* Two gets and two sets, and their copies from before the call. */
static larder_get_request get_batch[REQUEST_COUNT], get_before[REQUEST_COUNT];
static larder_set_request set_batch[REQUEST_COUNT], set_before[REQUEST_COUNT];

static void batches_begin(void)
{
    static const char *const keys[REQUEST_COUNT] = {"short", "empty"};
    memset(get_batch, DIRT_BYTE, sizeof get_batch);
    memset(set_batch, DIRT_BYTE, sizeof set_batch);
    for (int i = 0; i < REQUEST_COUNT; i++) {
        get_batch[i].key = set_batch[i].key = keys[i];
        get_batch[i].key_len = set_batch[i].key_len = strlen(keys[i]);
        get_batch[i].buffer = buffer;
        get_batch[i].capacity = sizeof buffer;
        set_batch[i].value = "other";
        set_batch[i].value_len = 5;
        set_batch[i].ttl_ms = 0;
    }
    memcpy(get_before, get_batch, sizeof get_batch);
    memcpy(set_before, set_batch, sizeof set_batch);
}

static void outputs_begin(void)
{
    memset(out.bytes, DIRT_BYTE, sizeof out.bytes);
    memset(buffer, DIRT_BYTE, sizeof buffer);
    memset(&data_out, DIRT_BYTE, sizeof data_out);
    memset(&len_out, DIRT_BYTE, sizeof len_out);
    batches_begin();
}

static void check_outputs_unwritten(void)
{
    CHECK(all_bytes_are(out.bytes, sizeof out.bytes, DIRT_BYTE));
    CHECK(all_bytes_are(buffer, sizeof buffer, DIRT_BYTE));
    CHECK(all_bytes_are(&data_out, sizeof data_out, DIRT_BYTE));
    CHECK(all_bytes_are(&len_out, sizeof len_out, DIRT_BYTE));
    CHECK(memcmp(get_batch, get_before, sizeof get_batch) == 0);
    CHECK(memcmp(set_batch, set_before, sizeof set_batch) == 0);
}

/* ---- spoilings ---- */

/* The world's tokens, for the cases that pass another token. */
static larder_view view_arg, view_gone;
static larder_reservation reservation_arg, committed, aborted;
static union {
    uint64_t words[1024];
    larder_view align_view;
} no_cache_bytes;

static void no_cache(struct args *a)
{
    a->cache = NULL;
}

static void zeroed_memory(struct args *a)
{
    memset(&no_cache_bytes, 0, sizeof no_cache_bytes);
    a->cache = (larder_cache *)(void *)&no_cache_bytes;
}

static void dirty_memory(struct args *a)
{
    memset(&no_cache_bytes, DIRT_BYTE, sizeof no_cache_bytes);
    a->cache = (larder_cache *)(void *)&no_cache_bytes;
}

static void no_key(struct args *a)
{
    a->key = NULL;
}

static void no_key_at_all(struct args *a)
{
    a->key = NULL;
    a->key_len = 0;
}

static void empty_key(struct args *a)
{
    a->key_len = 0;
}

static void long_key(struct args *a)
{
    a->key = long_bytes;
    a->key_len = KEY_LEN_MAX + 1;
}

static void half_address_space_key(struct args *a)
{
    a->key_len = SIZE_MAX / 2;
}

static void huge_key(struct args *a)
{
    a->key_len = SIZE_MAX;
}

static void missing_key(struct args *a)
{
    a->key = "missing";
    a->key_len = 7;
}

static void no_value(struct args *a)
{
    a->value = NULL;
}

static void value_of_region_size(struct args *a)
{
    a->value = long_bytes;
    a->value_len = REGION_SIZE;
}

static void half_address_space_value(struct args *a)
{
    a->value_len = SIZE_MAX / 2 + 1;
}

static void nearly_huge_value(struct args *a)
{
    a->value_len = SIZE_MAX - 8;
}

static void huge_value(struct args *a)
{
    a->value_len = SIZE_MAX;
}

static void no_buffer(struct args *a)
{
    a->buffer = NULL;
}

static void no_out(struct args *a)
{
    a->out = NULL;
}

static void no_view(struct args *a)
{
    a->view = NULL;
}

static void zeroed_view(struct args *a)
{
    memset(a->view, 0, sizeof *a->view);
}

static void full_view(struct args *a)
{
    memset(a->view, 0xFF, sizeof *a->view);
}

static void released_view(struct args *a)
{
    *a->view = view_gone;
}

static void entry_behind_the_last(struct args *a)
{
    a->view->entry = UINT32_MAX;
}

static void other_generation(struct args *a)
{
    a->view->generation++;
}

static void reservation_for_view(struct args *a)
{
    a->view->entry = reservation_arg.entry;
    a->view->generation = reservation_arg.generation;
    a->view->shard = reservation_arg.shard;
}

static void no_reservation(struct args *a)
{
    a->reservation = NULL;
}

static void zeroed_reservation(struct args *a)
{
    memset(a->reservation, 0, sizeof *a->reservation);
}

static void full_reservation(struct args *a)
{
    memset(a->reservation, 0xFF, sizeof *a->reservation);
}

static void reservation_committed(struct args *a)
{
    *a->reservation = committed;
}

static void reservation_aborted(struct args *a)
{
    *a->reservation = aborted;
}

static void reserved_entry_behind_the_last(struct args *a)
{
    a->reservation->entry = UINT32_MAX;
}

static void other_reserved_generation(struct args *a)
{
    a->reservation->generation++;
}

static void view_for_reservation(struct args *a)
{
    a->reservation->entry = view_arg.entry;
    a->reservation->generation = view_arg.generation;
    a->reservation->shard = view_arg.shard;
}

static void no_data(struct args *a)
{
    a->data_out = NULL;
}

static void no_len(struct args *a)
{
    a->len_out = NULL;
}

static void no_data_and_no_len(struct args *a)
{
    a->data_out = NULL;
    a->len_out = NULL;
}

static void span_behind_the_last(struct args *a)
{
    a->index = view_arg.spans;
}

static void huge_span(struct args *a)
{
    a->index = UINT32_MAX;
}

static void no_batch(struct args *a)
{
    a->get_batch = NULL;
    a->set_batch = NULL;
}

static void no_huge_batch(struct args *a)
{
    no_batch(a);
    a->count = SIZE_MAX;
}

static void huge_batch(struct args *a)
{
    a->count = SIZE_MAX;
}

static void batch_beyond_memory(struct args *a)
{
    a->count = SIZE_MAX / 2 / sizeof(larder_get_request) + 1;
}

struct spoiling {
    const char *name;
    void (*spoil)(struct args *args);
    int param;
    larder_status want;
};

static const struct spoiling spoilings[] = {
    {"cache NULL", no_cache, CACHE, LARDER_INVALID},
    {"cache of zeros", zeroed_memory, CACHE, LARDER_INVALID},
    {"cache of dirt", dirty_memory, CACHE, LARDER_INVALID},
    {"key NULL", no_key, KEY, LARDER_INVALID},
    {"key NULL, length 0", no_key_at_all, KEY, LARDER_INVALID},
    {"key length 0", empty_key, KEY, LARDER_INVALID},
    {"key length 256", long_key, KEY, LARDER_TOO_LARGE},
    {"key length SIZE_MAX / 2", half_address_space_key, KEY, LARDER_TOO_LARGE},
    {"key length SIZE_MAX", huge_key, KEY, LARDER_TOO_LARGE},
    {"key of no item", missing_key, PRESENT, LARDER_NOT_FOUND},
    {"value NULL", no_value, VALUE, LARDER_INVALID},
    {"value of the region's size", value_of_region_size, VALUE | RESERVED, LARDER_TOO_LARGE},
    {"value length SIZE_MAX / 2 + 1", half_address_space_value, VALUE | RESERVED, LARDER_TOO_LARGE},
    {"value length SIZE_MAX - 8", nearly_huge_value, VALUE | RESERVED, LARDER_TOO_LARGE},
    {"value length SIZE_MAX", huge_value, VALUE | RESERVED, LARDER_TOO_LARGE},
    {"buffer NULL", no_buffer, BUFFER, LARDER_INVALID},
    {"output NULL", no_out, OUT, LARDER_INVALID},
    {"view NULL", no_view, VIEW, LARDER_INVALID},
    {"view of zeros", zeroed_view, VIEW, LARDER_STALE},
    {"view of ones", full_view, VIEW, LARDER_STALE},
    {"view given back", released_view, VIEW, LARDER_STALE},
    {"view with another entry", entry_behind_the_last, VIEW, LARDER_STALE},
    {"view with another generation", other_generation, VIEW, LARDER_STALE},
    {"view of a reservation", reservation_for_view, VIEW, LARDER_STALE},
    {"reservation NULL", no_reservation, RESERVATION, LARDER_INVALID},
    {"reservation of zeros", zeroed_reservation, RESERVATION, LARDER_STALE},
    {"reservation of ones", full_reservation, RESERVATION, LARDER_STALE},
    {"reservation committed", reservation_committed, RESERVATION, LARDER_STALE},
    {"reservation aborted", reservation_aborted, RESERVATION, LARDER_STALE},
    {"reservation with another entry", reserved_entry_behind_the_last, RESERVATION, LARDER_STALE},
    {"reservation with another generation", other_reserved_generation, RESERVATION, LARDER_STALE},
    {"reservation of a view", view_for_reservation, RESERVATION, LARDER_STALE},
    {"data NULL", no_data, SPAN | SPANS, LARDER_INVALID},
    {"length NULL", no_len, SPAN | SPANS, LARDER_INVALID},
    {"data and length NULL", no_data_and_no_len, SPAN | SPANS, LARDER_INVALID},
    {"span behind the last", span_behind_the_last, SPAN, LARDER_NOT_FOUND},
    {"span UINT32_MAX", huge_span, SPAN, LARDER_NOT_FOUND},
    {"requests NULL", no_batch, BATCH, LARDER_INVALID},
    {"requests NULL, count SIZE_MAX", no_huge_batch, BATCH, LARDER_INVALID},
    {"count SIZE_MAX", huge_batch, BATCH, LARDER_INVALID},
    {"count beyond memory", batch_beyond_memory, BATCH, LARDER_INVALID},
};

/* ---- the cases ---- */

static struct args good_args(const struct world *world, const char *key)
{
    struct args args = {world->cache, key, strlen(key), "value", 5, buffer, sizeof buffer, out.bytes,
                        &view_arg, &reservation_arg, 1, &data_out.data, &len_out, get_batch, set_batch, REQUEST_COUNT};
    view_arg = world->view;
    view_gone = world->view_gone;
    reservation_arg = world->reservation;
    committed = world->committed;
    aborted = world->aborted;
    return args;
}

static void good_call_succeeds(const struct function *function)
{
    struct world world;
    set_context(function->name, "good");
    world_begin(&world);
    outputs_begin();
    struct args args = good_args(&world, function->key);
    CHECK_STATUS(function->call(&args), LARDER_OK);
    world_end(&world);
}

static void spoiled_call_changes_nothing(const struct function *function, const struct spoiling *spoiling)
{
    struct world world;
    set_context(function->name, spoiling->name);
    world_begin(&world);
    struct snapshot before = snapshot_of(&world);
    outputs_begin();
    struct args args = good_args(&world, function->key);
    spoiling->spoil(&args);
    larder_view view = view_arg;
    larder_reservation reservation = reservation_arg;
    CHECK_STATUS(function->call(&args), spoiling->want);
    check_outputs_unwritten();
    CHECK(memcmp(&view, &view_arg, sizeof view) == 0);
    CHECK(memcmp(&reservation, &reservation_arg, sizeof reservation) == 0);

    /* a miss counts */
    if (spoiling->spoil == missing_key && function->call != call_try_delete)
        before.stats.misses++;
    struct snapshot after = snapshot_of(&world);
    CHECK(memcmp(&after, &before, sizeof after) == 0);
    check_cache(world.cache, &world.region);
    check_still_held(&world);
    world_end(&world);
}

static void every_call_with_every_spoiling(void)
{
    for (size_t f = 0; f < sizeof functions / sizeof functions[0]; f++) {
        good_call_succeeds(&functions[f]);
        for (size_t s = 0; s < sizeof spoilings / sizeof spoilings[0]; s++)
            if (functions[f].params & spoilings[s].param)
                spoiled_call_changes_nothing(&functions[f], &spoilings[s]);
    }
}

/* The cache is checked even if there is no request. */
static void no_cache_without_requests(void)
{
    struct args args;
    memset(&args, 0, sizeof args);
    set_context("get_many, set_many", "no cache, no requests");
    CHECK_STATUS(call_get_many(&args), LARDER_INVALID);
    CHECK_STATUS(call_set_many(&args), LARDER_INVALID);
    zeroed_memory(&args);
    CHECK_STATUS(call_get_many(&args), LARDER_INVALID);
    CHECK_STATUS(call_set_many(&args), LARDER_INVALID);
}

/* A buffer that is too short gets the length alone. */
static void try_get_tells_the_length(void)
{
    static const size_t capacities[] = {0, 1, 9};
    struct world world;
    set_context("try_get", "buffer too short");
    world_begin(&world);
    for (size_t i = 0; i <= sizeof capacities / sizeof capacities[0]; i++) {
        outputs_begin();
        struct args args = good_args(&world, "short");
        args.buffer = i == 0 ? NULL : buffer;
        args.capacity = i == 0 ? 0 : capacities[i - 1];
        args.out = &len_out;
        CHECK_STATUS(call_try_get(&args), LARDER_BUFFER_TOO_SMALL);
        CHECK(len_out == 10 && all_bytes_are(buffer, sizeof buffer, DIRT_BYTE));
    }
    CHECK(stats_of(world.cache).failed_buffer_too_small == 4);
    check_still_held(&world);
    world_end(&world);
}

/* Good values at the limits. */
static void edges_are_accepted(void)
{
    struct world world;
    larder_view view;
    larder_reservation reservation;
    size_t len = 99;
    set_context("edges", "good");
    world_begin(&world);
    larder_cache *cache = world.cache;
    CHECK_STATUS(larder_cache_pin(cache, "empty", 5, &view), LARDER_OK);
    CHECK(view.len == 0 && view.span_len == 0 && view.spans == 1);
    CHECK_STATUS(larder_cache_unpin(cache, &view), LARDER_OK);
    CHECK_STATUS(larder_cache_reserve(cache, long_bytes, KEY_LEN_MAX, 1, UINT64_MAX - 1, &reservation), LARDER_OK);
    *(unsigned char *)reservation.data = 'v';
    CHECK_STATUS(larder_cache_commit(cache, &reservation), LARDER_OK);
    CHECK_STATUS(larder_cache_try_get(cache, long_bytes, KEY_LEN_MAX, buffer, SIZE_MAX, &len), LARDER_OK);
    CHECK(len == 1 && buffer[0] == 'v');
    CHECK_STATUS(larder_cache_try_set(cache, "empty", 5, NULL, 0, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_try_get(cache, "empty", 5, NULL, 0, &len), LARDER_OK);
    CHECK(len == 0);
    CHECK_STATUS(larder_cache_try_delete(cache, "empty", 5), LARDER_OK);
    CHECK_STATUS(larder_cache_try_delete(cache, "empty", 5), LARDER_NOT_FOUND);
    check_still_held(&world);
    world_end(&world);
}

/* The configured maxima hold for reservations and batches, too. */
static void configured_maxima_are_kept(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_reservation reservation;
    set_context("config", "key_len_max, value_len_max");
    larder_cache_config config = config_default();
    config.key_len_max = 8;
    config.value_len_max = 100;
    larder_cache *cache = cache_new(&region, &config);
    outputs_begin();
    CHECK_STATUS(larder_cache_reserve(cache, "123456789", 9, 1, 0, &reservation), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_cache_reserve(cache, "12345678", 8, 101, 0, &reservation), LARDER_TOO_LARGE);
    set_batch[0].key = "123456789";
    set_batch[0].key_len = 9;
    set_batch[1].value = long_bytes;
    set_batch[1].value_len = 101;
    CHECK_STATUS(larder_cache_set_many(cache, set_batch, REQUEST_COUNT), LARDER_OK);
    CHECK(set_batch[0].status == LARDER_TOO_LARGE && set_batch[1].status == LARDER_TOO_LARGE);
    CHECK(larder_cache_item_count(cache) == 0);
    CHECK_STATUS(larder_cache_reserve(cache, "12345678", 8, 100, 0, &reservation), LARDER_OK);
    CHECK_STATUS(larder_cache_abort(cache, &reservation), LARDER_OK);
    check_cache(cache, &region);
    region_free(&region);
}

/* ---- locks ---- */

static int lock_is_refused;

static int32_t take_lock(void *ctx)
{
    (void)ctx;
    return lock_is_refused;
}

static void give_lock(void *ctx)
{
    (void)ctx;
}

static int32_t wait_for_lock(void *ctx)
{
    (void)ctx;
    CHECK(!"waited for");
    return 0;
}

static larder_cache *cache_with_lock(const struct region *region, int32_t (*lock)(void *), int32_t (*try_lock)(void *))
{
    larder_cache_config config = config_default();
    config.lock = lock;
    config.try_lock = try_lock;
    config.unlock = give_lock;
    lock_is_refused = 0;
    return cache_new(region, &config);
}

static void check_try_calls(larder_cache *cache, larder_status want)
{
    outputs_begin();
    CHECK_STATUS(larder_cache_try_get(cache, "a", 1, buffer, sizeof buffer, &len_out), want);
    CHECK_STATUS(larder_cache_try_set(cache, "a", 1, "other", 5, 0), want);
    CHECK_STATUS(larder_cache_try_delete(cache, "a", 1), want);
    check_outputs_unwritten();
}

/* Calls that do not wait need the hook that does not wait, and never use the other one. */
static void try_calls_do_not_wait(void)
{
    struct region region = region_new(REGION_SIZE);
    set_context("try calls", "no try_lock");
    larder_cache *cache = cache_with_lock(&region, take_lock, NULL);
    CHECK_STATUS(larder_cache_set(cache, "a", 1, "value", 5, 0), LARDER_OK);
    check_try_calls(cache, LARDER_INVALID);
    lock_is_refused = 1;
    check_try_calls(cache, LARDER_INVALID);
    lock_is_refused = 0;
    CHECK_STATUS(larder_cache_contains(cache, "a", 1), LARDER_OK);
    region_free(&region);

    region = region_new(REGION_SIZE);
    set_context("try calls", "try_lock");
    cache = cache_with_lock(&region, wait_for_lock, take_lock);
    CHECK_STATUS(larder_cache_try_set(cache, "a", 1, "value", 5, 0), LARDER_OK);
    lock_is_refused = 1;
    check_try_calls(cache, LARDER_BUSY);
    lock_is_refused = 0;
    CHECK_STATUS(larder_cache_try_get(cache, "a", 1, buffer, sizeof buffer, &len_out), LARDER_OK);
    CHECK(len_out == 5 && memcmp(buffer, "value", 5) == 0);
    CHECK_STATUS(larder_cache_try_delete(cache, "a", 1), LARDER_OK);
    region_free(&region);
}

/* A cache with a view and a reservation in use. */
struct holder {
    larder_cache *cache;
    larder_view view;
    larder_reservation reservation;
    int visited;
};

static void holder_begin(struct holder *holder, larder_cache *cache)
{
    holder->cache = cache;
    holder->visited = 0;
    CHECK_STATUS(larder_cache_set(cache, "a", 1, "value", 5, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_pin(cache, "a", 1, &holder->view), LARDER_OK);
    CHECK_STATUS(larder_cache_reserve(cache, "b", 1, 5, 0, &holder->reservation), LARDER_OK);
    memcpy(holder->reservation.data, "other", 5);
}

static void check_all_busy(struct holder *holder)
{
    larder_cache *cache = holder->cache;
    larder_view *view = &holder->view;
    larder_reservation *reservation = &holder->reservation;
    check_try_calls(cache, LARDER_BUSY);
    CHECK_STATUS(larder_cache_pin(cache, "a", 1, (larder_view *)(void *)out.bytes), LARDER_BUSY);
    CHECK_STATUS(larder_cache_reserve(cache, "b", 1, 5, 0, (larder_reservation *)(void *)out.bytes), LARDER_BUSY);
    CHECK_STATUS(larder_cache_view_span(cache, view, 0, (const void **)(void *)&data_out, &len_out), LARDER_BUSY);
    CHECK_STATUS(larder_cache_reservation_span(cache, reservation, 0, &data_out.data, &len_out), LARDER_BUSY);
    CHECK_STATUS(larder_cache_view_spans(cache, view, (larder_span *)(void *)out.bytes, 1, &len_out), LARDER_BUSY);
    CHECK_STATUS(larder_cache_reservation_spans(cache, reservation, (larder_span *)(void *)out.bytes, 1, &len_out),
                 LARDER_BUSY);
    CHECK_STATUS(larder_cache_unpin(cache, view), LARDER_BUSY);
    CHECK_STATUS(larder_cache_commit(cache, reservation), LARDER_BUSY);
    CHECK_STATUS(larder_cache_abort(cache, reservation), LARDER_BUSY);
    check_outputs_unwritten();
}

static void holder_end(struct holder *holder)
{
    larder_cache *cache = holder->cache;
    CHECK(stats_of(cache).views == 1 && stats_of(cache).reservations == 1);
    CHECK(holder->view.len == 5 && memcmp(holder->view.data, "value", 5) == 0);
    CHECK_STATUS(larder_cache_unpin(cache, &holder->view), LARDER_OK);
    CHECK_STATUS(larder_cache_commit(cache, &holder->reservation), LARDER_OK);
    CHECK_STATUS(larder_cache_try_get(cache, "b", 1, buffer, sizeof buffer, &len_out), LARDER_OK);
    CHECK(len_out == 5 && memcmp(buffer, "other", 5) == 0);
}

/* If the lock is refused, every call is LARDER_BUSY, and views and reservations stay valid. */
static void refused_locks_refuse(void)
{
    struct region region = region_new(REGION_SIZE);
    struct holder holder;
    set_context("every call", "lock refused");
    holder_begin(&holder, cache_with_lock(&region, take_lock, take_lock));
    lock_is_refused = 1;
    check_all_busy(&holder);
    lock_is_refused = 0;
    holder_end(&holder);
    check_cache(holder.cache, &region);
    region_free(&region);
}

static int32_t reenter_on_visit(void *ctx, const larder_item_info *item)
{
    struct holder *holder = (struct holder *)ctx;
    CHECK(item->key_len > 0);
    holder->visited++;
    check_all_busy(holder);
    return 0;
}

static void reenter_on_event(void *ctx, const larder_event *event)
{
    struct holder *holder = (struct holder *)ctx;
    CHECK(event->items > 0);
    holder->visited++;
    check_all_busy(holder);
}

/* While a callback of the cache runs, every call from inside it is LARDER_BUSY, too. */
static void callbacks_are_busy(void)
{
    struct region region = region_new(REGION_SIZE);
    struct holder holder;
    larder_cursor cursor = {0};
    larder_cache_config config = config_default();
    config.on_event = reenter_on_event;
    config.event_ctx = &holder;
    holder_begin(&holder, cache_new(&region, &config));
    set_context("every call", "from a scan");
    CHECK_STATUS(larder_cache_scan(holder.cache, &cursor, reenter_on_visit, &holder), LARDER_OK);
    CHECK(holder.visited == 1);
    set_context("every call", "from an event");
    for (uint64_t key = 0; holder.visited < 20 && key < 100000; key++)
        CHECK_STATUS(larder_cache_set(holder.cache, &key, sizeof key, long_bytes, 100, 0), LARDER_OK);
    CHECK(holder.visited == 20);
    holder_end(&holder);
    check_cache(holder.cache, &region);
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    for (size_t i = 0; i < sizeof long_bytes; i++)
        long_bytes[i] = (unsigned char)(i * 7 + i / 256);
    every_call_with_every_spoiling();
    no_cache_without_requests();
    try_get_tells_the_length();
    edges_are_accepted();
    configured_maxima_are_kept();
    try_calls_do_not_wait();
    refused_locks_refuse();
    callbacks_are_busy();
    return check_end("bad_input_view");
}
