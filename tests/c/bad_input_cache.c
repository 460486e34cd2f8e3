/* bad_input_cache.c: every bad value of every parameter of every cache call is refused and changes nothing.
 *
 * A case is a call with one bad parameter. Each case starts from the same cache of seven items. It compares cache,
 * outputs and invariants after the call with those before. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024, KEY_LEN_MAX = 255, OUT_SIZE = 256, ITEM_COUNT = 7 };

/* All parameters of the calls on one key. */
struct args {
    larder_cache *cache;
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
    uint64_t ttl_ms;
    int64_t by;
    size_t offset;
    void *buffer;
    size_t capacity;
    void *out;
};

/* Parameters that can be bad. The cache and the key are parameters of every call. */
enum {
    KEYED = 1,
    VALUE = 2,
    TEXT = 4,
    BUFFER = 8,
    OUT = 16,
    OFFSET = 32,
    PRESENT = 64, /* the key must have an item */
    LENGTH = 128  /* a buffer that is too short is refused, and the length is returned */
};

struct function {
    const char *name;
    larder_status (*call)(const struct args *args);
    const char *key; /* of the good call */
    int params;
};

static larder_status call_set(const struct args *a)
{
    return larder_cache_set(a->cache, a->key, a->key_len, a->value, a->value_len, a->ttl_ms);
}

static larder_status call_add(const struct args *a)
{
    return larder_cache_add(a->cache, a->key, a->key_len, a->value, a->value_len, a->ttl_ms);
}

static larder_status call_replace(const struct args *a)
{
    return larder_cache_replace(a->cache, a->key, a->key_len, a->value, a->value_len, a->ttl_ms);
}

static larder_status call_get(const struct args *a)
{
    return larder_cache_get(a->cache, a->key, a->key_len, a->buffer, a->capacity, (size_t *)a->out);
}

static larder_status call_delete(const struct args *a)
{
    return larder_cache_delete(a->cache, a->key, a->key_len);
}

static larder_status call_contains(const struct args *a)
{
    return larder_cache_contains(a->cache, a->key, a->key_len);
}

static larder_status call_touch(const struct args *a)
{
    return larder_cache_touch(a->cache, a->key, a->key_len, a->ttl_ms);
}

static larder_status call_ttl(const struct args *a)
{
    return larder_cache_ttl(a->cache, a->key, a->key_len, (uint64_t *)a->out);
}

static larder_status call_increment(const struct args *a)
{
    return larder_cache_increment(a->cache, a->key, a->key_len, a->by, (int64_t *)a->out);
}

static larder_status call_set_i64(const struct args *a)
{
    return larder_cache_set_i64(a->cache, a->key, a->key_len, -5, a->ttl_ms);
}

static larder_status call_set_u64(const struct args *a)
{
    return larder_cache_set_u64(a->cache, a->key, a->key_len, 5, a->ttl_ms);
}

static larder_status call_set_f64(const struct args *a)
{
    return larder_cache_set_f64(a->cache, a->key, a->key_len, 0.5, a->ttl_ms);
}

static larder_status call_set_str(const struct args *a)
{
    return larder_cache_set_str(a->cache, a->key, a->key_len, (const char *)a->value, a->ttl_ms);
}

static larder_status call_get_i64(const struct args *a)
{
    return larder_cache_get_i64(a->cache, a->key, a->key_len, (int64_t *)a->out);
}

static larder_status call_get_u64(const struct args *a)
{
    return larder_cache_get_u64(a->cache, a->key, a->key_len, (uint64_t *)a->out);
}

static larder_status call_get_f64(const struct args *a)
{
    return larder_cache_get_f64(a->cache, a->key, a->key_len, (double *)a->out);
}

static larder_status call_get_str(const struct args *a)
{
    return larder_cache_get_str(a->cache, a->key, a->key_len, (char *)a->buffer, a->capacity, (size_t *)a->out);
}

static larder_status call_type(const struct args *a)
{
    return larder_cache_type(a->cache, a->key, a->key_len, (int32_t *)a->out);
}

static larder_status call_get_range(const struct args *a)
{
    return larder_cache_get_range(a->cache, a->key, a->key_len, a->offset, a->buffer, a->capacity, (size_t *)a->out);
}

static larder_status call_item_info(const struct args *a)
{
    return larder_cache_item_info(a->cache, a->key, a->key_len, (larder_item_info *)a->out);
}

static larder_status call_append(const struct args *a)
{
    return larder_cache_append(a->cache, a->key, a->key_len, a->value, a->value_len);
}

static larder_status call_prepend(const struct args *a)
{
    return larder_cache_prepend(a->cache, a->key, a->key_len, a->value, a->value_len);
}

static larder_status call_add_u64(const struct args *a)
{
    return larder_cache_add_u64(a->cache, a->key, a->key_len, a->by, LARDER_WRAP, (uint64_t *)a->out);
}

static larder_status call_lease(const struct args *a)
{
    return larder_cache_lease(a->cache, a->key, a->key_len, 1000, (larder_lease *)a->out);
}

static larder_status call_get_item(const struct args *a)
{
    larder_item item = LARDER_ITEM_INIT;
    larder_status status = larder_cache_get_item(a->cache, a->key, a->key_len, a->buffer, a->capacity, 0,
                                                 a->out == NULL ? NULL : &item);
    if (a->out != NULL && (status == LARDER_OK || status == LARDER_BUFFER_TOO_SMALL))
        *(size_t *)a->out = (size_t)item.value_len;
    return status;
}

static larder_status call_set_tag(const struct args *a)
{
    return larder_cache_set_tag(a->cache, a->key, a->key_len, 3, 1, NULL);
}

static larder_status call_put(const struct args *a)
{
    larder_put put = LARDER_PUT_INIT;
    put.key = a->key;
    put.key_len = a->key_len;
    put.value = a->value;
    put.value_len = a->value_len;
    put.ttl_ms = a->ttl_ms;
    return larder_cache_put(a->cache, &put, NULL);
}

static const struct function functions[] = {
    {"set", call_set, "fresh", KEYED | VALUE},
    {"set (update)", call_set, "bytes", KEYED | VALUE},
    {"add", call_add, "fresh", KEYED | VALUE},
    {"replace", call_replace, "bytes", KEYED | VALUE | PRESENT},
    {"get", call_get, "bytes", KEYED | BUFFER | OUT | PRESENT | LENGTH},
    {"delete", call_delete, "bytes", KEYED | PRESENT},
    {"contains", call_contains, "bytes", KEYED | PRESENT},
    {"touch", call_touch, "bytes", KEYED | PRESENT},
    {"ttl", call_ttl, "bytes", KEYED | OUT | PRESENT},
    {"increment", call_increment, "i64", KEYED | OUT},
    {"set_i64", call_set_i64, "fresh", KEYED},
    {"set_u64", call_set_u64, "fresh", KEYED},
    {"set_f64", call_set_f64, "fresh", KEYED},
    {"set_str", call_set_str, "fresh", KEYED | TEXT},
    {"get_i64", call_get_i64, "i64", KEYED | OUT | PRESENT},
    {"get_u64", call_get_u64, "u64", KEYED | OUT | PRESENT},
    {"get_f64", call_get_f64, "f64", KEYED | OUT | PRESENT},
    {"get_str", call_get_str, "str", KEYED | BUFFER | OUT | PRESENT | LENGTH},
    {"type", call_type, "str", KEYED | OUT | PRESENT},
    {"get_range", call_get_range, "bytes", KEYED | BUFFER | OUT | OFFSET | PRESENT},
    {"item_info", call_item_info, "bytes", KEYED | OUT | PRESENT},
    {"append", call_append, "bytes", KEYED | VALUE | PRESENT},
    {"prepend", call_prepend, "bytes", KEYED | VALUE | PRESENT},
    {"add_u64", call_add_u64, "u64", KEYED | OUT | PRESENT},
    {"lease", call_lease, "fresh", KEYED | OUT},
    {"put", call_put, "fresh", KEYED | VALUE},
    {"get_item", call_get_item, "bytes", KEYED | BUFFER | OUT | PRESENT | LENGTH},
    {"set_tag", call_set_tag, "bytes", KEYED | PRESENT},
};

static unsigned char long_bytes[REGION_SIZE + 1];

static void no_cache(struct args *a)
{
    a->cache = NULL;
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

static void no_value(struct args *a)
{
    a->value = NULL;
}

static void huge_no_value(struct args *a)
{
    a->value = NULL;
    a->value_len = SIZE_MAX;
}

static void value_of_region_size(struct args *a)
{
    a->value = long_bytes;
    a->value_len = REGION_SIZE;
}

static void value_above_region_size(struct args *a)
{
    a->value = long_bytes;
    a->value_len = REGION_SIZE + 1;
}

static void half_address_space_value(struct args *a)
{
    a->value_len = SIZE_MAX / 2 + 1;
}

static void huge_value(struct args *a)
{
    a->value_len = SIZE_MAX;
}

static void no_buffer(struct args *a)
{
    a->buffer = NULL;
}

static void huge_no_buffer(struct args *a)
{
    a->buffer = NULL;
    a->capacity = SIZE_MAX;
}

static void no_out(struct args *a)
{
    a->out = NULL;
}

static void offset_behind_end(struct args *a)
{
    a->offset = 11;
}

static void huge_offset(struct args *a)
{
    a->offset = SIZE_MAX;
}

static void missing_key(struct args *a)
{
    a->key = "missing";
    a->key_len = 7;
}

struct spoiling {
    const char *name;
    void (*spoil)(struct args *args);
    int param;
    larder_status want;
};

static const struct spoiling spoilings[] = {
    {"cache NULL", no_cache, KEYED, LARDER_INVALID},
    {"key NULL", no_key, KEYED, LARDER_INVALID},
    {"key NULL, length 0", no_key_at_all, KEYED, LARDER_INVALID},
    {"key length 0", empty_key, KEYED, LARDER_INVALID},
    {"key length 256", long_key, KEYED, LARDER_TOO_LARGE},
    {"key length SIZE_MAX / 2", half_address_space_key, KEYED, LARDER_TOO_LARGE},
    {"key length SIZE_MAX", huge_key, KEYED, LARDER_TOO_LARGE},
    {"value NULL", no_value, VALUE, LARDER_INVALID},
    {"value NULL, length SIZE_MAX", huge_no_value, VALUE, LARDER_INVALID},
    {"value of the region's size", value_of_region_size, VALUE, LARDER_TOO_LARGE},
    {"value above the region's size", value_above_region_size, VALUE, LARDER_TOO_LARGE},
    {"value length SIZE_MAX / 2 + 1", half_address_space_value, VALUE, LARDER_TOO_LARGE},
    {"value length SIZE_MAX", huge_value, VALUE, LARDER_TOO_LARGE},
    {"text NULL", no_value, TEXT, LARDER_INVALID},
    {"buffer NULL", no_buffer, BUFFER, LARDER_INVALID},
    {"buffer NULL, capacity SIZE_MAX", huge_no_buffer, BUFFER, LARDER_INVALID},
    {"output NULL", no_out, OUT, LARDER_INVALID},
    {"offset behind the end", offset_behind_end, OFFSET, LARDER_INVALID},
    {"offset SIZE_MAX", huge_offset, OFFSET, LARDER_INVALID},
    {"key of no item", missing_key, PRESENT, LARDER_NOT_FOUND},
};

/* The cache before each call. The item "bytes" has ten bytes. */
struct world {
    struct region region;
    larder_cache *cache;
    uint64_t now_ms;
};

static const char *const item_keys[ITEM_COUNT] = {"bytes", "empty", "str", "i64", "max", "u64", "f64"};

static void world_begin(struct world *world)
{
    world->region = region_new(REGION_SIZE);
    world->now_ms = 1000 * 1000;
    larder_cache_config config = config_with_clock(&world->now_ms);
    config.flags = LARDER_ITEM_TAGS;
    larder_cache *cache = world->cache = cache_new(&world->region, &config);
    CHECK_STATUS(larder_cache_set(cache, "bytes", 5, "0123456789", 10, 3600 * 1000), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "empty", 5, NULL, 0, LARDER_TTL_NEVER), LARDER_OK);
    CHECK_STATUS(larder_cache_set_str(cache, "str", 3, "larder", LARDER_TTL_NEVER), LARDER_OK);
    CHECK_STATUS(larder_cache_set_i64(cache, "i64", 3, 41, LARDER_TTL_NEVER), LARDER_OK);
    CHECK_STATUS(larder_cache_set_i64(cache, "max", 3, INT64_MAX, LARDER_TTL_NEVER), LARDER_OK);
    CHECK_STATUS(larder_cache_set_u64(cache, "u64", 3, UINT64_MAX, LARDER_TTL_NEVER), LARDER_OK);
    CHECK_STATUS(larder_cache_set_f64(cache, "f64", 3, 1.5, LARDER_TTL_NEVER), LARDER_OK);
}

static void world_end(struct world *world)
{
    region_free(&world->region);
}

struct snapshot {
    uint64_t item_count, usage, limit;
    uint64_t sets, updates, deletes, evictions, expirations, payload, free, overhead;
    struct {
        int32_t status, type;
        uint64_t ttl_ms, value_len;
        unsigned char value[16];
    } items[ITEM_COUNT];
};

static struct snapshot snapshot_of(const struct world *world)
{
    struct snapshot s;
    memset(&s, 0, sizeof s);
    s.item_count = larder_cache_item_count(world->cache);
    s.usage = larder_cache_memory_usage(world->cache);
    s.limit = larder_cache_memory_limit(world->cache);
    larder_cache_stats_t stats = stats_of(world->cache);
    s.sets = stats.sets;
    s.updates = stats.updates;
    s.deletes = stats.deletes;
    s.evictions = stats.evictions;
    s.expirations = stats.expirations;
    s.payload = stats.payload_bytes;
    s.free = stats.free_bytes;
    s.overhead = stats.overhead_bytes;
    for (int i = 0; i < ITEM_COUNT; i++) {
        const char *key = item_keys[i];
        size_t len = strlen(key), value_len = 0;
        unsigned char *value = s.items[i].value;
        s.items[i].status = larder_cache_get(world->cache, key, len, value, sizeof s.items[i].value, &value_len);
        s.items[i].value_len = value_len;
        CHECK_STATUS(larder_cache_type(world->cache, key, len, &s.items[i].type), LARDER_OK);
        CHECK_STATUS(larder_cache_ttl(world->cache, key, len, &s.items[i].ttl_ms), LARDER_OK);
    }
    return s;
}

static void check_unchanged(const struct world *world, const struct snapshot *before)
{
    struct snapshot after = snapshot_of(world);
    CHECK(memcmp(&after, before, sizeof after) == 0);
    check_cache(world->cache, &world->region);
}

/* The outputs of a call, and a copy from before the call. */
static union {
    unsigned char bytes[OUT_SIZE];
    uint64_t aligned;
} out;
static unsigned char buffer[OUT_SIZE];

static void outputs_begin(void)
{
    memset(out.bytes, DIRT_BYTE, sizeof out.bytes);
    memset(buffer, DIRT_BYTE, sizeof buffer);
}

static void check_outputs_unwritten(void)
{
    CHECK(all_bytes_are(out.bytes, sizeof out.bytes, DIRT_BYTE));
    CHECK(all_bytes_are(buffer, sizeof buffer, DIRT_BYTE));
}

static struct args good_args(larder_cache *cache, const char *key)
{
    struct args args = {cache, key, strlen(key), "value", 5, 60 * 1000, 1, 0, buffer, sizeof buffer, out.bytes};
    return args;
}

static void good_call_succeeds(const struct function *function)
{
    struct world world;
    set_context(function->name, "good");
    world_begin(&world);
    outputs_begin();
    struct args args = good_args(world.cache, function->key);
    CHECK_STATUS(function->call(&args), LARDER_OK);
    check_cache(world.cache, &world.region);
    world_end(&world);
}

static void spoiled_call_changes_nothing(const struct function *function, const struct spoiling *spoiling)
{
    struct world world;
    set_context(function->name, spoiling->name);
    world_begin(&world);
    struct snapshot before = snapshot_of(&world);
    outputs_begin();
    struct args args = good_args(world.cache, function->key);
    spoiling->spoil(&args);
    CHECK_STATUS(function->call(&args), spoiling->want);
    check_outputs_unwritten();
    check_unchanged(&world, &before);
    world_end(&world);
}

/* With a short buffer, or with no buffer and capacity 0, only the length is written. */
static void short_buffer_tells_the_length(const struct function *function, void *at, size_t capacity, size_t len)
{
    struct world world;
    set_context(function->name, at ? "buffer too short" : "length asked for");
    world_begin(&world);
    struct snapshot before = snapshot_of(&world);
    outputs_begin();
    struct args args = good_args(world.cache, function->key);
    args.buffer = at;
    args.capacity = capacity;
    CHECK_STATUS(function->call(&args), LARDER_BUFFER_TOO_SMALL);
    size_t told;
    memcpy(&told, out.bytes, sizeof told);
    CHECK(told == len);
    CHECK(all_bytes_are(out.bytes + sizeof told, sizeof out.bytes - sizeof told, DIRT_BYTE));
    CHECK(all_bytes_are(buffer, sizeof buffer, DIRT_BYTE));
    check_unchanged(&world, &before);
    world_end(&world);
}

static void keyed_calls(void)
{
    size_t function_count = sizeof functions / sizeof functions[0];
    size_t spoiling_count = sizeof spoilings / sizeof spoilings[0];
    for (size_t f = 0; f < function_count; f++) {
        const struct function *function = &functions[f];
        good_call_succeeds(function);
        for (size_t s = 0; s < spoiling_count; s++)
            if (function->params & spoilings[s].param)
                spoiled_call_changes_nothing(function, &spoilings[s]);
        if (function->params & LENGTH) {
            size_t len = strcmp(function->key, "str") == 0 ? 6 : 10;
            size_t short_of = strcmp(function->key, "str") == 0 ? 6 : 9; /* a text's NUL needs room too */
            short_buffer_tells_the_length(function, NULL, 0, len);
            short_buffer_tells_the_length(function, buffer, 0, len);
            short_buffer_tells_the_length(function, buffer, 1, len);
            short_buffer_tells_the_length(function, buffer, short_of, len);
        }
    }
}

/* Calls whose result depends on the item. */
struct item_case {
    const char *name;
    larder_status (*call)(const struct args *args);
    const char *key;
    int64_t by;
    larder_status want;
};

static const struct item_case item_cases[] = {
    {"add to an item", call_add, "bytes", 0, LARDER_EXISTS},
    {"increment bytes", call_increment, "bytes", 1, LARDER_TYPE_MISMATCH},
    {"increment an empty value", call_increment, "empty", 1, LARDER_TYPE_MISMATCH},
    {"increment a text", call_increment, "str", 1, LARDER_TYPE_MISMATCH},
    {"increment a f64", call_increment, "f64", 1, LARDER_TYPE_MISMATCH},
    {"increment above INT64_MAX", call_increment, "max", 1, LARDER_INVALID},
    {"increment far above INT64_MAX", call_increment, "max", INT64_MAX, LARDER_INVALID},
    {"get_i64 of bytes", call_get_i64, "bytes", 0, LARDER_TYPE_MISMATCH},
    {"get_i64 of an empty value", call_get_i64, "empty", 0, LARDER_TYPE_MISMATCH},
    {"get_i64 of a text", call_get_i64, "str", 0, LARDER_TYPE_MISMATCH},
    {"get_i64 of a f64", call_get_i64, "f64", 0, LARDER_TYPE_MISMATCH},
    {"get_u64 of bytes", call_get_u64, "bytes", 0, LARDER_TYPE_MISMATCH},
    {"get_u64 of a text", call_get_u64, "str", 0, LARDER_TYPE_MISMATCH},
    {"get_u64 of a f64", call_get_u64, "f64", 0, LARDER_TYPE_MISMATCH},
    {"get_f64 of bytes", call_get_f64, "bytes", 0, LARDER_TYPE_MISMATCH},
    {"get_f64 of a text", call_get_f64, "str", 0, LARDER_TYPE_MISMATCH},
    {"get_str of bytes", call_get_str, "bytes", 0, LARDER_TYPE_MISMATCH},
    {"get_str of an i64", call_get_str, "i64", 0, LARDER_TYPE_MISMATCH},
};

static void calls_of_the_wrong_type(void)
{
    for (size_t i = 0; i < sizeof item_cases / sizeof item_cases[0]; i++) {
        const struct item_case *c = &item_cases[i];
        struct world world;
        set_context(c->name, c->key);
        world_begin(&world);
        struct snapshot before = snapshot_of(&world);
        outputs_begin();
        struct args args = good_args(world.cache, c->key);
        args.by = c->by;
        CHECK_STATUS(c->call(&args), c->want);
        check_outputs_unwritten();
        check_unchanged(&world, &before);
        world_end(&world);
    }
}

static void increment_below_the_smallest(void)
{
    struct world world;
    set_context("increment", "below INT64_MIN");
    world_begin(&world);
    int64_t value = 7;
    CHECK_STATUS(larder_cache_set_i64(world.cache, "min", 3, INT64_MIN, LARDER_TTL_NEVER), LARDER_OK);
    CHECK_STATUS(larder_cache_increment(world.cache, "min", 3, -1, &value), LARDER_INVALID);
    CHECK_STATUS(larder_cache_increment(world.cache, "min", 3, INT64_MIN, &value), LARDER_INVALID);
    CHECK(value == 7);
    CHECK_STATUS(larder_cache_get_i64(world.cache, "min", 3, &value), LARDER_OK);
    CHECK(value == INT64_MIN);
    check_cache(world.cache, &world.region);
    world_end(&world);
}

/* Good values at the limits. */
static void edges_are_accepted(void)
{
    struct world world;
    set_context("edges", "good");
    world_begin(&world);
    larder_cache *cache = world.cache;
    size_t len = 99;
    outputs_begin();

    CHECK_STATUS(larder_cache_get(cache, "empty", 5, NULL, 0, &len), LARDER_OK);
    CHECK(len == 0);
    CHECK_STATUS(larder_cache_set(cache, "bytes", 5, NULL, 0, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_get(cache, "bytes", 5, NULL, 0, &len), LARDER_OK);
    CHECK(len == 0);
    CHECK_STATUS(larder_cache_set(cache, "bytes", 5, "0123456789", 10, 0), LARDER_OK);

    /* get writes only the value's bytes, even with a capacity above the buffer's */
    CHECK_STATUS(larder_cache_get(cache, "bytes", 5, buffer, SIZE_MAX, &len), LARDER_OK);
    CHECK(len == 10 && memcmp(buffer, "0123456789", 10) == 0 && buffer[10] == DIRT_BYTE);
    CHECK_STATUS(larder_cache_get(cache, "bytes", 5, buffer, 10, &len), LARDER_OK);

    CHECK_STATUS(larder_cache_get_range(cache, "bytes", 5, 10, buffer, sizeof buffer, &len), LARDER_OK);
    CHECK(len == 0);
    CHECK_STATUS(larder_cache_get_range(cache, "bytes", 5, 8, buffer, SIZE_MAX, &len), LARDER_OK);
    CHECK(len == 2 && memcmp(buffer, "89", 2) == 0);
    CHECK_STATUS(larder_cache_get_range(cache, "bytes", 5, 0, NULL, 0, &len), LARDER_OK);
    CHECK(len == 0);
    CHECK_STATUS(larder_cache_get_range(cache, "empty", 5, 0, buffer, sizeof buffer, &len), LARDER_OK);
    CHECK(len == 0);
    CHECK_STATUS(larder_cache_get_range(cache, "empty", 5, 1, buffer, sizeof buffer, &len), LARDER_INVALID);

    CHECK_STATUS(larder_cache_set(cache, long_bytes, KEY_LEN_MAX, "v", 1, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_contains(cache, long_bytes, KEY_LEN_MAX), LARDER_OK);
    CHECK_STATUS(larder_cache_contains(cache, long_bytes, KEY_LEN_MAX - 1), LARDER_NOT_FOUND);

    CHECK_STATUS(larder_cache_set(cache, "long", 4, "v", 1, UINT64_MAX - 1), LARDER_OK);
    CHECK_STATUS(larder_cache_contains(cache, "long", 4), LARDER_OK);
    CHECK_STATUS(larder_cache_touch(cache, "long", 4, UINT64_MAX - 1), LARDER_OK);
    CHECK_STATUS(larder_cache_contains(cache, "long", 4), LARDER_OK);
    check_cache(cache, &world.region);
    world_end(&world);
}

/* Every type can be read as bytes. */
static void get_works_for_every_type(void)
{
    static const int32_t types[ITEM_COUNT] = {LARDER_TYPE_BYTES, LARDER_TYPE_BYTES, LARDER_TYPE_STR, LARDER_TYPE_I64,
                                              LARDER_TYPE_I64,   LARDER_TYPE_U64,   LARDER_TYPE_F64};
    static const size_t lens[ITEM_COUNT] = {10, 0, 6, 8, 8, 8, 8};
    struct world world;
    set_context("get", "every type");
    world_begin(&world);
    struct snapshot s = snapshot_of(&world);
    for (int i = 0; i < ITEM_COUNT; i++) {
        CHECK(s.items[i].status == LARDER_OK);
        CHECK(s.items[i].type == types[i]);
        CHECK(s.items[i].value_len == lens[i]);
    }
    CHECK(memcmp(s.items[2].value, "larder", 6) == 0);
    world_end(&world);
}

static int32_t count_items(void *ctx, const larder_item_info *item)
{
    (void)item;
    ++*(int *)ctx;
    return 0;
}

/* Calls without a key. */
static void other_calls(void)
{
    struct world world;
    set_context("calls without a key", "bad");
    world_begin(&world);
    larder_cache *cache = world.cache;
    struct snapshot before = snapshot_of(&world);
    int visited = 0;
    larder_cursor cursor = {0};
    larder_optimize_report report;
    memset(&report, DIRT_BYTE, sizeof report);

    CHECK_STATUS(larder_cache_clear(NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_set_memory_limit(NULL, REGION_SIZE / 2), LARDER_INVALID);
    CHECK_STATUS(larder_cache_set_memory_limit(cache, 0), LARDER_INVALID);
    CHECK_STATUS(larder_cache_set_memory_limit(cache, REGION_SIZE + 1), LARDER_INVALID);
    CHECK_STATUS(larder_cache_set_memory_limit(cache, SIZE_MAX), LARDER_INVALID);
    CHECK_STATUS(larder_cache_set_memory_limit(cache, 1), LARDER_NO_MEMORY);
    CHECK_STATUS(larder_cache_set_memory_limit(cache, 16), LARDER_NO_MEMORY);
    CHECK(larder_cache_memory_limit(NULL) == 0);
    CHECK(larder_cache_memory_usage(NULL) == 0);
    CHECK(larder_cache_item_count(NULL) == 0);
    CHECK_STATUS(larder_cache_optimize(NULL, 0, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_optimize(NULL, UINT32_MAX, &report), LARDER_INVALID);
    CHECK_STATUS(larder_cache_stats(NULL, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_stats(cache, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_check(NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_set_time(NULL, 1), LARDER_INVALID);
    CHECK_STATUS(larder_cache_scan(NULL, &cursor, count_items, &visited), LARDER_INVALID);
    CHECK_STATUS(larder_cache_scan(cache, NULL, count_items, &visited), LARDER_INVALID);
    CHECK_STATUS(larder_cache_scan(cache, &cursor, NULL, &visited), LARDER_INVALID);
    uint64_t deleted = 77;
    CHECK_STATUS(larder_cache_delete_if(NULL, &cursor, 0, count_items, &visited, &deleted), LARDER_INVALID);
    CHECK_STATUS(larder_cache_delete_if(cache, NULL, 0, count_items, &visited, &deleted), LARDER_INVALID);
    CHECK_STATUS(larder_cache_delete_if(cache, &cursor, 0, NULL, &visited, &deleted), LARDER_INVALID);
    larder_lease lease = {0, 0};
    CHECK_STATUS(larder_cache_fill(NULL, &lease, "v", 1, 0), LARDER_INVALID);
    CHECK_STATUS(larder_cache_fill(cache, NULL, "v", 1, 0), LARDER_INVALID);
    CHECK_STATUS(larder_cache_fill(cache, &lease, NULL, 1, 0), LARDER_INVALID);
    CHECK_STATUS(larder_cache_fill(cache, &lease, "v", 1, 0), LARDER_STALE);
    CHECK(visited == 0 && cursor.position == 0 && deleted == 77);
    CHECK(all_bytes_are(&report, sizeof report, DIRT_BYTE));
    check_unchanged(&world, &before);

    larder_cache_stats_t stats, dirt;
    memset(&dirt, DIRT_BYTE, sizeof dirt);
    stats = dirt;
    CHECK_STATUS(larder_cache_stats(NULL, &stats), LARDER_INVALID);
    CHECK(memcmp(&stats, &dirt, sizeof stats) == 0);

    /* a scan with a forged cursor visits only existing items */
    static const uint64_t positions[] = {1, 77, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        cursor.position = positions[i];
        visited = 0;
        larder_status status = larder_cache_scan(cache, &cursor, count_items, &visited);
        CHECK(status == LARDER_OK || status == LARDER_INVALID);
        CHECK(visited <= ITEM_COUNT);
    }
    check_unchanged(&world, &before);
    CHECK_STATUS(larder_cache_optimize(cache, UINT32_MAX, NULL), LARDER_OK);
    CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_OK);
    check_cache(cache, &world.region);
    world_end(&world);
}

/* ---- calls with the number of a class or a page ---- */

struct numbered_function {
    const char *name;
    larder_status (*call)(const larder_cache *cache, uint32_t number, void *out);
    size_t out_size;
};

static larder_status call_class_stats(const larder_cache *cache, uint32_t number, void *at)
{
    return larder_cache_class_stats(cache, number, (larder_class_stats *)at);
}

static larder_status call_page_info(const larder_cache *cache, uint32_t number, void *at)
{
    return larder_cache_page_info(cache, number, (larder_page_info *)at);
}

static const struct numbered_function numbered_functions[] = {
    {"class_stats", call_class_stats, sizeof(larder_class_stats)},
    {"page_info", call_page_info, sizeof(larder_page_info)},
};

struct numbered_case {
    const char *name;
    int has_cache, has_out, counts_from_end; /* 1 if `number` is added to the count */
    uint32_t number;
    larder_status want;
};

static const struct numbered_case numbered_cases[] = {
    {"cache NULL", 0, 1, 0, 0, LARDER_INVALID},
    {"output NULL", 1, 0, 0, 0, LARDER_INVALID},
    {"cache and output NULL", 0, 0, 0, 0, LARDER_INVALID},
    {"cache NULL, one past the last", 0, 1, 1, 0, LARDER_INVALID},
    {"output NULL, one past the last", 1, 0, 1, 0, LARDER_INVALID},
    {"one past the last", 1, 1, 1, 0, LARDER_NOT_FOUND},
    {"two past the last", 1, 1, 1, 1, LARDER_NOT_FOUND},
    {"256 past the last", 1, 1, 1, 255, LARDER_NOT_FOUND},
    {"number 256", 1, 1, 0, 256, LARDER_NOT_FOUND},
    {"number 65536", 1, 1, 0, 65536, LARDER_NOT_FOUND},
    {"number 16777216", 1, 1, 0, UINT32_C(1) << 24, LARDER_NOT_FOUND},
    {"number INT32_MAX", 1, 1, 0, INT32_MAX, LARDER_NOT_FOUND},
    {"number INT32_MAX + 1", 1, 1, 0, UINT32_C(1) << 31, LARDER_NOT_FOUND},
    {"number UINT32_MAX", 1, 1, 0, UINT32_MAX, LARDER_NOT_FOUND},
};

/* The number of classes or pages. Checks that each call succeeds and writes only the structure. */
static uint32_t count_numbers(const struct numbered_function *function, const larder_cache *cache)
{
    uint32_t count = 0, struct_size = (uint32_t)function->out_size;
    larder_status status;
    for (;; count++) {
        outputs_begin();
        memcpy(out.bytes, &struct_size, sizeof struct_size); /* a structure without its size is overwritten */
        status = function->call(cache, count, out.bytes);
        if (status != LARDER_OK || count >= 256)
            break;
        size_t size = function->out_size;
        CHECK(!all_bytes_are(out.bytes, size, DIRT_BYTE));
        CHECK(all_bytes_are(out.bytes + size, sizeof out.bytes - size, DIRT_BYTE));
    }
    CHECK_STATUS(status, LARDER_NOT_FOUND);
    return count;
}

static void numbered_calls(void)
{
    for (size_t f = 0; f < sizeof numbered_functions / sizeof numbered_functions[0]; f++) {
        const struct numbered_function *function = &numbered_functions[f];
        struct world world;
        set_context(function->name, "good");
        world_begin(&world);
        struct snapshot before = snapshot_of(&world);
        uint32_t count = count_numbers(function, world.cache);
        CHECK(count > 0);
        check_unchanged(&world, &before);
        for (size_t i = 0; i < sizeof numbered_cases / sizeof numbered_cases[0]; i++) {
            const struct numbered_case *c = &numbered_cases[i];
            set_context(function->name, c->name);
            outputs_begin();
            uint32_t number = c->number + (c->counts_from_end ? count : 0);
            CHECK_STATUS(function->call(c->has_cache ? world.cache : NULL, number, c->has_out ? out.bytes : NULL),
                         c->want);
            check_outputs_unwritten();
            check_unchanged(&world, &before);
        }
        world_end(&world);
    }
}

/* No advice is given by so small a cache: that is said of a structure of the right size. */
static void advise_of_bad_arguments(void)
{
    struct world world;
    world_begin(&world);
    struct snapshot before = snapshot_of(&world);
    larder_advice *advice = (larder_advice *)(void *)out.bytes;
    const uint32_t size = sizeof *advice;
    const uint32_t sizes[] = {0, 1, 8, size - 8, size - 1, size, size + 1, size + 8, UINT32_MAX};
    set_context("advise", "NULL");
    outputs_begin();
    CHECK_STATUS(larder_cache_advise(NULL, advice), LARDER_INVALID);
    CHECK_STATUS(larder_cache_advise(world.cache, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_advise(NULL, NULL), LARDER_INVALID);
    check_outputs_unwritten();
    set_context("advise", "struct_size");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        advice->struct_size = sizes[i];
        CHECK_STATUS(larder_cache_advise(world.cache, advice), sizes[i] < size    ? LARDER_INVALID
                                                               : sizes[i] == size ? LARDER_NO_MEMORY
                                                                                  : LARDER_VERSION_MISMATCH);
        CHECK(advice->struct_size == sizes[i]);
        CHECK(all_bytes_are(out.bytes + sizeof size, sizeof out.bytes - sizeof size, DIRT_BYTE));
    }
    check_unchanged(&world, &before);
    world_end(&world);
}

static void limits_of_bad_arguments(void)
{
    struct world world;
    world_begin(&world);
    struct snapshot before = snapshot_of(&world);
    larder_cache_limits_t *limits = (larder_cache_limits_t *)(void *)out.bytes;
    set_context("limits", "NULL");
    outputs_begin();
    CHECK_STATUS(larder_cache_limits(NULL, limits), LARDER_INVALID);
    CHECK_STATUS(larder_cache_limits(world.cache, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_limits(NULL, NULL), LARDER_INVALID);
    check_outputs_unwritten();
    limits->struct_size = (uint32_t)sizeof *limits;
    CHECK_STATUS(larder_cache_limits(world.cache, limits), LARDER_OK);
    CHECK(limits->struct_size == sizeof *limits && limits->shards > 0 && limits->key_len_max > 0);
    CHECK(limits->value_len_max > 0 && limits->ttl_ms_max > 0);
    CHECK(all_bytes_are(out.bytes + sizeof *limits, sizeof out.bytes - sizeof *limits, DIRT_BYTE));
    check_unchanged(&world, &before);
    world_end(&world);
}

/* A value that a lower limit cannot hold is refused, and no item is evicted. */
static void too_large_for_the_limit_evicts_nothing(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    char key[16];
    set_context("set", "above the limit");
    for (int i = 0; i < 3000; i++) {
        int len = snprintf(key, sizeof key, "key %d", i);
        CHECK_STATUS(larder_cache_set(cache, key, (size_t)len, long_bytes, 50, 0), LARDER_OK);
    }
    CHECK_STATUS(larder_cache_set_memory_limit(cache, REGION_SIZE / 2), LARDER_OK);
    CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "kept", 4, "old value", 9, 0), LARDER_OK);

    uint64_t item_count = larder_cache_item_count(cache), evictions = stats_of(cache).evictions;
    CHECK_STATUS(larder_cache_set(cache, "kept", 4, long_bytes, REGION_SIZE / 2, 0), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_cache_replace(cache, "kept", 4, long_bytes, REGION_SIZE / 2, 0), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_cache_add(cache, "other", 5, long_bytes, REGION_SIZE / 2, 0), LARDER_TOO_LARGE);
    CHECK(larder_cache_item_count(cache) == item_count);
    CHECK(stats_of(cache).evictions == evictions);
    unsigned char value[16];
    size_t len = 0;
    CHECK_STATUS(larder_cache_get(cache, "kept", 4, value, sizeof value, &len), LARDER_OK);
    CHECK(len == 9 && memcmp(value, "old value", 9) == 0);
    check_cache(cache, &region);
    region_free(&region);
}

/* Lower maxima of the configuration are enforced as the built-in ones are. */
static void configured_maxima_are_kept(void)
{
    struct region region = region_new(REGION_SIZE);
    set_context("config", "key_len_max, value_len_max");
    larder_cache_config config = config_default();
    config.key_len_max = 8;
    config.value_len_max = 100;
    larder_cache *cache = cache_new(&region, &config);
    CHECK_STATUS(larder_cache_set(cache, "12345678", 8, long_bytes, 100, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "123456789", 9, "v", 1, 0), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_cache_set(cache, "1", 1, long_bytes, 101, 0), LARDER_TOO_LARGE);
    CHECK(larder_cache_item_count(cache) == 1);
    check_cache(cache, &region);
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    keyed_calls();
    calls_of_the_wrong_type();
    increment_below_the_smallest();
    edges_are_accepted();
    get_works_for_every_type();
    other_calls();
    numbered_calls();
    limits_of_bad_arguments();
    advise_of_bad_arguments();
    too_large_for_the_limit_evicts_nothing();
    configured_maxima_are_kept();
    return check_end("bad_input_cache");
}
