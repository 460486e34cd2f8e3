/* behaviour_item.c: items with tags and versions, values that grow, leases, deletion by rule, from C. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024 };

static struct region area;
static uint64_t now_ms;

static larder_cache *cache_begin(uint32_t flags)
{
    area = region_new(REGION_SIZE);
    now_ms = 1000 * 1000;
    larder_cache_config config = config_with_clock(&now_ms);
    config.flags = flags;
    return cache_new(&area, &config);
}

static larder_put put_of(const char *value, uint32_t mode, uint64_t version)
{
    larder_put put = LARDER_PUT_INIT;
    put.mode = mode;
    put.key = "key";
    put.key_len = 3;
    put.value = value;
    put.value_len = strlen(value);
    put.version = version;
    return put;
}

static void compare_and_set(void)
{
    larder_cache *cache = cache_begin(LARDER_ITEM_TAGS | LARDER_ITEM_VERSIONS | LARDER_ITEM_TIMES);
    uint64_t first = 0, second = 0, unchanged = 77;
    larder_put put = put_of("one", LARDER_PUT_ADD, 0);
    put.tag = 0xbeef;
    CHECK_STATUS(larder_cache_put(cache, &put, &first), LARDER_OK);
    CHECK_STATUS(larder_cache_put(cache, &put, &unchanged), LARDER_EXISTS);
    put = put_of("two", LARDER_PUT_IF_VERSION, first);
    CHECK_STATUS(larder_cache_put(cache, &put, &second), LARDER_OK);
    CHECK(second > first);
    CHECK_STATUS(larder_cache_put(cache, &put, &unchanged), LARDER_STALE);
    put.key = "none";
    CHECK_STATUS(larder_cache_put(cache, &put, &unchanged), LARDER_NOT_FOUND);
    CHECK(unchanged == 77);

    now_ms += 250;
    larder_item item = LARDER_ITEM_INIT;
    char buffer[8] = "";
    CHECK_STATUS(larder_cache_get_item(cache, "key", 3, buffer, sizeof buffer, 0, &item), LARDER_OK);
    CHECK(item.value_len == 3 && memcmp(buffer, "two", 3) == 0);
    CHECK(item.version == second && item.tag == 0 && item.type == LARDER_TYPE_BYTES);
    CHECK(item.ttl_ms == LARDER_TTL_NEVER && item.age_ms == 250);
    CHECK_STATUS(larder_cache_get_item(cache, "key", 3, NULL, 0, LARDER_PEEK, &item), LARDER_BUFFER_TOO_SMALL);
    CHECK(item.version == second);

    uint32_t old = 1;
    CHECK_STATUS(larder_cache_set_tag(cache, "key", 3, 0xff, 0x1234, &old), LARDER_OK);
    CHECK(old == 0);
    CHECK_STATUS(larder_cache_set_tag(cache, "key", 3, 0, 0, &old), LARDER_OK);
    CHECK(old == 0x34);
    CHECK_STATUS(larder_cache_set_tag(cache, "key", 3, 0xf, 0xf, NULL), LARDER_OK);
    CHECK_STATUS(larder_cache_set_tag(cache, "none", 4, 1, 1, &old), LARDER_NOT_FOUND);
    region_free(&area);
}

/* Every bad field of the structures is refused. The call stores, counts and writes nothing. */
static void bad_structures(void)
{
    larder_cache *cache = cache_begin(0);
    CHECK_STATUS(larder_cache_set(cache, "key", 3, "value", 5, 0), LARDER_OK);
    larder_cache_stats_t before = LARDER_CACHE_STATS_INIT, after = LARDER_CACHE_STATS_INIT;
    CHECK_STATUS(larder_cache_stats(cache, &before), LARDER_OK);
    char buffer[8];

    larder_item item = LARDER_ITEM_INIT;
    CHECK_STATUS(larder_cache_get_item(cache, "key", 3, buffer, 8, 0, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_get_item(cache, "key", 3, NULL, 8, 0, &item), LARDER_INVALID);
    CHECK_STATUS(larder_cache_get_item(NULL, "key", 3, buffer, 8, 0, &item), LARDER_INVALID);
    CHECK_STATUS(larder_cache_get_item(cache, NULL, 3, buffer, 8, 0, &item), LARDER_INVALID);
    CHECK_STATUS(larder_cache_get_item(cache, "key", 3, buffer, 8, 1u << 31, &item), LARDER_INVALID);
    item.struct_size = 0;
    CHECK_STATUS(larder_cache_get_item(cache, "key", 3, buffer, 8, 0, &item), LARDER_INVALID);
    item.struct_size = sizeof item + 8;
    CHECK_STATUS(larder_cache_get_item(cache, "key", 3, buffer, 8, 0, &item), LARDER_VERSION_MISMATCH);

    larder_put put = put_of("x", LARDER_PUT_SET, 0);
    CHECK_STATUS(larder_cache_put(NULL, &put, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_put(cache, NULL, NULL), LARDER_INVALID);
    put.struct_size = 4;
    CHECK_STATUS(larder_cache_put(cache, &put, NULL), LARDER_INVALID);
    put.struct_size = sizeof put + 8;
    CHECK_STATUS(larder_cache_put(cache, &put, NULL), LARDER_VERSION_MISMATCH);
    put = put_of("x", LARDER_PUT_IF_VERSION + 1, 0);
    CHECK_STATUS(larder_cache_put(cache, &put, NULL), LARDER_INVALID);
    put = put_of("x", LARDER_PUT_SET, 1);
    CHECK_STATUS(larder_cache_put(cache, &put, NULL), LARDER_INVALID);
    put = put_of("x", LARDER_PUT_IF_VERSION, 1);
    CHECK_STATUS(larder_cache_put(cache, &put, NULL), LARDER_INVALID);
    put = put_of("x", LARDER_PUT_SET, 0);
    put.flags = 1u << 31;
    CHECK_STATUS(larder_cache_put(cache, &put, NULL), LARDER_INVALID);
    put.flags = 0;
    put.tag = 1;
    CHECK_STATUS(larder_cache_put(cache, &put, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_set_tag(cache, "key", 3, 1, 1, NULL), LARDER_INVALID);
    uint64_t sum = 5;
    CHECK_STATUS(larder_cache_add_u64(cache, "key", 3, 1, 2, &sum), LARDER_INVALID);
    larder_lease lease;
    CHECK_STATUS(larder_cache_lease(cache, "new", 3, 0, &lease), LARDER_INVALID);
    CHECK_STATUS(larder_cache_lease(cache, "new", 3, LARDER_TTL_NEVER, &lease), LARDER_INVALID);

    CHECK_STATUS(larder_cache_stats(cache, &after), LARDER_OK);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    region_free(&area);
}

static void values_grow(void)
{
    larder_cache *cache = cache_begin(0);
    char value[16];
    size_t len = 0;
    CHECK_STATUS(larder_cache_set(cache, "key", 3, "mid", 3, 5000), LARDER_OK);
    CHECK_STATUS(larder_cache_append(cache, "key", 3, "dle", 3), LARDER_OK);
    CHECK_STATUS(larder_cache_prepend(cache, "key", 3, "in the ", 7), LARDER_OK);
    CHECK_STATUS(larder_cache_append(cache, "key", 3, NULL, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_get(cache, "key", 3, value, sizeof value, &len), LARDER_OK);
    CHECK(len == 13 && memcmp(value, "in the middle", 13) == 0);
    uint64_t ttl = 0, sum = 0;
    CHECK_STATUS(larder_cache_ttl(cache, "key", 3, &ttl), LARDER_OK);
    CHECK(ttl == 5000);
    CHECK_STATUS(larder_cache_set_u64(cache, "n", 1, 3, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_add_u64(cache, "n", 1, -5, LARDER_SATURATE, &sum), LARDER_OK);
    CHECK(sum == 0);
    CHECK_STATUS(larder_cache_add_u64(cache, "n", 1, -1, LARDER_WRAP, &sum), LARDER_OK);
    CHECK(sum == UINT64_MAX);
    region_free(&area);
}

/* A value is read from the origin, then the key is deleted here. A later fill with the old value is refused. */
static void stale_fills(void)
{
    larder_cache *cache = cache_begin(0);
    larder_lease lease, other;
    char value[8];
    size_t len = 0;
    CHECK_STATUS(larder_cache_lease(cache, "key", 3, 1000, &lease), LARDER_OK);
    CHECK_STATUS(larder_cache_lease(cache, "key", 3, 1000, &other), LARDER_BUSY);
    CHECK_STATUS(larder_cache_delete(cache, "key", 3), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_fill(cache, &lease, "old", 3, 0), LARDER_STALE);
    CHECK_STATUS(larder_cache_get(cache, "key", 3, value, sizeof value, &len), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_lease(cache, "key", 3, 1000, &other), LARDER_OK);
    CHECK_STATUS(larder_cache_fill(cache, &lease, "old", 3, 0), LARDER_STALE);
    CHECK_STATUS(larder_cache_fill(cache, &other, "new", 3, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_get(cache, "key", 3, value, sizeof value, &len), LARDER_OK);
    CHECK(len == 3 && memcmp(value, "new", 3) == 0);
    CHECK_STATUS(larder_cache_lease(cache, "key", 3, 1000, &lease), LARDER_EXISTS);
    region_free(&area);
}

static int32_t key_is_even(void *ctx, const larder_item_info *item)
{
    (void)ctx;
    return *(const unsigned char *)item->key % 2 == 0;
}

static void deletion_by_rule(void)
{
    larder_cache *cache = cache_begin(0);
    for (unsigned char key = 0; key < 100; key++)
        CHECK_STATUS(larder_cache_set(cache, &key, 1, "v", 1, 0), LARDER_OK);
    larder_cursor cursor = { 0 };
    uint64_t deleted = 0, sum = 0;
    int slices = 0;
    larder_status status;
    do {
        status = larder_cache_delete_if(cache, &cursor, 7, key_is_even, NULL, &deleted);
        sum += deleted;
        slices++;
    } while (status == LARDER_AGAIN);
    CHECK(status == LARDER_OK && sum == 50 && slices == 15);
    for (unsigned char key = 0; key < 100; key++)
        CHECK_STATUS(larder_cache_contains(cache, &key, 1), key % 2 ? LARDER_OK : LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    region_free(&area);
}

/* Until its grace is over, an expired value is returned on request. */
static void stale_while_error(void)
{
    area = region_new(REGION_SIZE);
    now_ms = 1000 * 1000;
    larder_cache_config config = config_with_clock(&now_ms);
    config.grace_ms = 500;
    larder_cache *cache = cache_new(&area, &config);
    larder_item item = LARDER_ITEM_INIT;
    char value[8] = "";
    CHECK_STATUS(larder_cache_set(cache, "key", 3, "value", 5, 1000), LARDER_OK);
    CHECK_STATUS(larder_cache_get_item(cache, "key", 3, value, 8, LARDER_STALE_OK, &item), LARDER_OK);
    CHECK(item.is_stale == 0 && item.ttl_ms == 1000);
    now_ms += 1000;
    CHECK_STATUS(larder_cache_get_item(cache, "key", 3, value, 8, 0, &item), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_get_item(cache, "key", 3, value, 8, LARDER_STALE_OK, &item), LARDER_OK);
    CHECK(item.is_stale == 1 && item.value_len == 5 && memcmp(value, "value", 5) == 0);
    now_ms += 500;
    CHECK_STATUS(larder_cache_get_item(cache, "key", 3, value, 8, LARDER_STALE_OK, &item), LARDER_NOT_FOUND);
    CHECK(larder_cache_item_count(cache) == 0);
    region_free(&area);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    compare_and_set();
    bad_structures();
    values_grow();
    stale_fills();
    deletion_by_rule();
    stale_while_error();
    return check_end("behaviour_item");
}
