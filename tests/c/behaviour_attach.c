/* behaviour_attach.c: the results of larder_cache_attach, and damage that checksums find in a running cache. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024, LARGE = 9000 };

static const char *const keys[] = { "a", "a key of 20 letters.", "large", "number" };

static void store_all(larder_cache *cache, const unsigned char *large)
{
    CHECK_STATUS(larder_cache_set(cache, keys[0], 1, "", 0, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_set_str(cache, keys[1], strlen(keys[1]), "text", 60 * 1000), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, keys[2], strlen(keys[2]), large, LARGE, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_set_i64(cache, keys[3], strlen(keys[3]), -5, 0), LARDER_OK);
}

static void check_all(larder_cache *cache, const unsigned char *large)
{
    static unsigned char buffer[LARGE];
    size_t len = 1;
    int64_t number = 0;
    uint64_t ttl_ms = 0;
    CHECK_STATUS(larder_cache_get(cache, keys[0], 1, NULL, 0, &len), LARDER_OK);
    CHECK(len == 0);
    CHECK_STATUS(larder_cache_get_str(cache, keys[1], strlen(keys[1]), (char *)buffer, 5, &len), LARDER_OK);
    CHECK(len == 4 && memcmp(buffer, "text", 4) == 0);
    CHECK_STATUS(larder_cache_ttl(cache, keys[1], strlen(keys[1]), &ttl_ms), LARDER_OK);
    CHECK(ttl_ms > 30 * 1000 && ttl_ms <= 60 * 1000);
    CHECK_STATUS(larder_cache_get(cache, keys[2], strlen(keys[2]), buffer, sizeof buffer, &len), LARDER_OK);
    CHECK(len == LARGE && memcmp(buffer, large, LARGE) == 0);
    CHECK_STATUS(larder_cache_get_i64(cache, keys[3], strlen(keys[3]), &number), LARDER_OK);
    CHECK(number == -5);
    CHECK(larder_cache_item_count(cache) == 4);
}

static void fill_large(unsigned char *large)
{
    uint64_t random = 5;
    for (int i = 0; i < LARGE; i++)
        large[i] = (unsigned char)(next_random(&random) >> 32);
}

/* Attaches at another address, with another limit and other hooks. */
static void items_are_recovered_elsewhere(uint32_t flags, uint32_t policy)
{
    static unsigned char large[LARGE];
    struct region region = region_new(REGION_SIZE), other = region_new(REGION_SIZE);
    uint64_t now_ms = 5000;
    larder_cache_config config = config_with_clock(&now_ms);
    larder_attach_report report;
    fill_large(large);
    config.flags = flags;
    config.policy = policy;
    larder_cache *cache = cache_new(&region, &config);
    store_all(cache, large);
    memcpy(other.memory, region.memory, REGION_SIZE);
    memset(region.memory, DIRT_BYTE, REGION_SIZE);

    config.memory_limit = REGION_SIZE / 2;
    config.flags |= LARDER_SINGLE_THREAD;
    memset(&report, DIRT_BYTE, sizeof report);
    CHECK_STATUS(larder_cache_attach(other.memory, other.size, &config, &cache, &report), LARDER_OK);
    CHECK(report.found == LARDER_FOUND_CACHE && report.reserved == 0);
    CHECK(report.items_recovered == 4 && report.items_dropped == 0);
    CHECK(report.bytes_recovered == 1 + 20 + 4 + 5 + LARGE + 6 + 8);
    CHECK(larder_cache_memory_limit(cache) == REGION_SIZE / 2);
    check_cache(cache, &other);
    check_all(cache, large);
    CHECK(stats_of(cache).hits == 4);
    CHECK_STATUS(larder_cache_delete(cache, keys[2], strlen(keys[2])), LARDER_OK);
    check_cache(cache, &other);
    region_free(&region);
    region_free(&other);
}

static void expect_none(const struct region *region, const larder_cache_config *config, uint32_t found,
                        larder_status status)
{
    static unsigned char before[REGION_SIZE];
    larder_cache *cache = NULL;
    larder_attach_report report;
    memset(&report, DIRT_BYTE, sizeof report);
    bytes_are_defined(region->memory, region->size);
    memcpy(before, region->memory, region->size);
    CHECK_STATUS(larder_cache_attach(region->memory, region->size, config, &cache, &report), status);
    CHECK(report.found == found && report.items_recovered == 0);
    CHECK_STATUS(larder_cache_attach(region->memory, region->size, config, &cache, NULL), status);
    CHECK(cache == NULL);
    CHECK(memcmp(before, region->memory, region->size) == 0);
}

static void other_regions_are_told_apart(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache_config config = config_default(), other = config;
    expect_none(&region, &config, LARDER_FOUND_NOTHING, LARDER_NOT_FOUND);
    memset(region.memory, 0, region.size);
    expect_none(&region, &config, LARDER_FOUND_NOTHING, LARDER_NOT_FOUND);
    cache_new(&region, &config);
    other.hash_seed = 1;
    expect_none(&region, &other, LARDER_FOUND_OTHER_SEED, LARDER_VERSION_MISMATCH);
    other = config;
    other.policy = LARDER_POLICY_LRU;
    expect_none(&region, &other, LARDER_FOUND_OTHER_LAYOUT, LARDER_VERSION_MISMATCH);
    struct region shorter = region;
    shorter.size -= 4096;
    expect_none(&shorter, &config, LARDER_FOUND_OTHER_LAYOUT, LARDER_VERSION_MISMATCH);
    shorter.size = 64;
    expect_none(&shorter, &config, LARDER_FOUND_NOTHING, LARDER_NOT_FOUND);
    region_free(&region);
}

/* A bit of the value flips while the cache is in use. Every read detects this, and the item is removed. */
static void damage_is_found(int call)
{
    static unsigned char large[LARGE], buffer[LARGE];
    struct region region = region_new(REGION_SIZE);
    larder_cache_config config = config_default();
    size_t len = 0, at = 0;
    larder_view view;
    larder_item_info info;
    fill_large(large);
    config.flags = LARDER_CHECKSUM;
    larder_cache *cache = cache_new(&region, &config);
    store_all(cache, large);
    check_all(cache, large);
    bytes_are_defined(region.memory, region.size);
    while (memcmp(region.memory + at, large + LARGE - 8, 8) != 0)
        at++;
    region.memory[at + 3] ^= 0x10;
    memset(buffer, DIRT_BYTE, sizeof buffer);
    larder_status status = call == 0 ? larder_cache_get(cache, keys[2], 5, buffer, sizeof buffer, &len)
                           : call == 1 ? larder_cache_get_range(cache, keys[2], 5, 4, buffer, 1, &len)
                           : call == 2 ? larder_cache_pin(cache, keys[2], 5, &view)
                           : call == 3 ? larder_cache_touch(cache, keys[2], 5, 1000)
                           : call == 4 ? larder_cache_try_get(cache, keys[2], 5, buffer, sizeof buffer, &len)
                                       : larder_cache_item_info(cache, keys[2], 5, &info);
    CHECK_STATUS(status, LARDER_CORRUPT);
    CHECK(all_bytes_are(buffer, sizeof buffer, DIRT_BYTE));
    CHECK_STATUS(larder_cache_get(cache, keys[2], 5, buffer, sizeof buffer, &len), LARDER_NOT_FOUND);
    CHECK(stats_of(cache).failed_corrupt == 1);
    check_cache(cache, &region);
    store_all(cache, large);
    check_all(cache, large);
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    for (uint32_t flags = 0; flags < 16; flags++) {
        if (flags & LARDER_SINGLE_THREAD)
            continue;
        items_are_recovered_elsewhere(flags, LARDER_POLICY_DEFAULT);
        items_are_recovered_elsewhere(flags, LARDER_POLICY_LRU);
    }
    other_regions_are_told_apart();
    for (int call = 0; call < 6; call++)
        damage_is_found(call);
    return check_end("behaviour_attach");
}
