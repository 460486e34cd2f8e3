/* behaviour_status.c: calls return each status in the documented cases, and the status's text names the cause. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024, VALUE_LEN = 100 };

static unsigned char bytes[REGION_SIZE];

/* Checks a status, and that its text has these words, so that the text is true of the call. */
static void check_answer(larder_status status, larder_status want, const char *words)
{
    char word[32];
    const char *text = larder_strerror(status);
    CHECK_STATUS(status, want);
    while (sscanf(words, " %31[^,]", word) == 1) {
        set_context(text, word);
        CHECK(strstr(text, word) != NULL);
        words += strcspn(words, ",");
        words += *words == ',';
    }
    set_context("status", "behind");
}

/* ---- setting up ---- */

static void bad_regions(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache_config config = config_default();
    larder_cache *cache = NULL;
    larder_pool *pool = NULL;
    larder_arena *arena = NULL;
    check_answer(larder_cache_init(region.memory, 1024, NULL, &cache), LARDER_NO_MEMORY, "memory,region,too small");
    check_answer(larder_pool_init(region.memory, 64, NULL, &pool), LARDER_NO_MEMORY, "memory,region,too small");
    check_answer(larder_arena_init(region.memory, 16, &arena), LARDER_NO_MEMORY, "memory,region,too small");
    check_answer(larder_cache_init(region.memory + 1, 8192, NULL, &cache), LARDER_MISALIGNED, "memory,multiple of 16");
    CHECK(LARDER_ALIGN == 16);
    check_answer(larder_cache_init(NULL, 8192, NULL, &cache), LARDER_INVALID, "argument,NULL,out of range");
    config.memory_limit = REGION_SIZE + 1;
    check_answer(larder_cache_init(region.memory, region.size, &config, &cache), LARDER_INVALID,
                 "argument,out of range");
    config.memory_limit = 1;
    check_answer(larder_cache_init(region.memory, region.size, &config, &cache), LARDER_NO_MEMORY, "limit,too small");
    config.memory_limit = 0;
    config.pins_max = 100000;
    check_answer(larder_cache_init(region.memory, region.size, &config, &cache), LARDER_NO_MEMORY, "table,too small");
    config.pins_max = 0;
    config.abi_version = 2;
    check_answer(larder_cache_init(region.memory, region.size, &config, &cache), LARDER_VERSION_MISMATCH,
                 "version,configuration");
    CHECK(!cache && !pool && !arena);
    region_free(&region);
}

static void regions_attached_to(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache_config config = config_default();
    larder_cache *cache = NULL;
    memset(region.memory, 0, region.size);
    check_answer(larder_cache_attach(region.memory, region.size, NULL, &cache, NULL), LARDER_NOT_FOUND, "not found");
    cache = cache_new(&region, NULL);
    config.shards = 2;
    check_answer(larder_cache_attach(region.memory, region.size, &config, &cache, NULL), LARDER_VERSION_MISMATCH,
                 "another configuration");
    region_free(&region);
}

/* ---- items ---- */

static void bad_items(larder_cache *cache)
{
    size_t len = 0, size = 0;
    int64_t number = 0;
    CHECK_STATUS(larder_cache_set(cache, "key", 3, bytes, VALUE_LEN, 0), LARDER_OK);
    check_answer(larder_cache_set(cache, bytes, 256, "", 0, 0), LARDER_TOO_LARGE, "too large,key,configuration");
    check_answer(larder_cache_set(cache, "key", 3, bytes, REGION_SIZE, 0), LARDER_TOO_LARGE, "too large,value,limit");
    check_answer(larder_cache_required_size(NULL, UINT64_MAX, 16, 16, &size), LARDER_TOO_LARGE, "too large,size");
    check_answer(larder_cache_set(cache, "key", 0, bytes, 1, 0), LARDER_INVALID, "argument,out of range");
    check_answer(larder_cache_get(cache, "none", 4, NULL, 0, &len), LARDER_NOT_FOUND, "not found");
    check_answer(larder_cache_get(cache, "key", 3, bytes, 1, &len), LARDER_BUFFER_TOO_SMALL, "buffer,value");
    check_answer(larder_cache_add(cache, "key", 3, "", 0, 0), LARDER_EXISTS, "exists");
    check_answer(larder_cache_get_i64(cache, "key", 3, &number), LARDER_TYPE_MISMATCH, "value,another type");
    CHECK_STATUS(larder_cache_set_i64(cache, "n", 1, INT64_MAX, 0), LARDER_OK);
    check_answer(larder_cache_increment(cache, "n", 1, 1, &number), LARDER_INVALID, "argument,out of range");
}

/* The maximum number of views, and a cache in which all items are pinned. */
static void pinned_items(larder_cache *cache)
{
    larder_view views[15], more;
    CHECK_STATUS(larder_cache_set(cache, "key", 3, bytes, VALUE_LEN, 0), LARDER_OK);
    for (size_t i = 0; i < 15; i++)
        CHECK_STATUS(larder_cache_pin(cache, "key", 3, &views[i]), LARDER_OK);
    check_answer(larder_cache_pin(cache, "key", 3, &more), LARDER_NO_MEMORY, "table,in use");
    for (size_t i = 0; i < 15; i++)
        CHECK_STATUS(larder_cache_unpin(cache, &views[i]), LARDER_OK);
    check_answer(larder_cache_unpin(cache, &views[0]), LARDER_STALE, "stale,given back");
}

static int32_t call_back(void *ctx, const larder_item_info *item)
{
    (void)item;
    check_answer(larder_cache_delete((larder_cache *)ctx, "key", 3), LARDER_BUSY, "busy,callback");
    return 1;
}

static void calls_under_way(larder_cache *cache)
{
    larder_cursor cursor = {0};
    CHECK_STATUS(larder_cache_set(cache, "key", 3, bytes, VALUE_LEN, 0), LARDER_OK);
    check_answer(larder_cache_scan(cache, &cursor, call_back, cache), LARDER_AGAIN, "more to do,call again");
}

/* Damages the value's bytes in the region. */
static void damaged_items(const struct region *region, larder_cache *cache)
{
    static unsigned char value[VALUE_LEN];
    larder_view view;
    size_t len = 0;
    memset(value, 0x77, sizeof value);
    CHECK_STATUS(larder_cache_set(cache, "damaged", 7, value, sizeof value, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_pin(cache, "damaged", 7, &view), LARDER_OK);
    size_t at = (size_t)((const unsigned char *)view.data - region->memory);
    CHECK_STATUS(larder_cache_unpin(cache, &view), LARDER_OK);
    region->memory[at] ^= 1;
    check_answer(larder_cache_get(cache, "damaged", 7, value, sizeof value, &len), LARDER_CORRUPT, "corrupt,checksum");
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    bad_regions();
    regions_attached_to();
    struct region region = region_new(REGION_SIZE);
    larder_cache_config config = config_default();
    config.flags = LARDER_CHECKSUM;
    config.pins_max = 15;
    larder_cache *cache = cache_new(&region, &config);
    bad_items(cache);
    pinned_items(cache);
    calls_under_way(cache);
    damaged_items(&region, cache);
    check_cache(cache, &region);
    region_free(&region);
    check_answer(LARDER_OK, LARDER_OK, "ok");
    return check_end("behaviour_status");
}
