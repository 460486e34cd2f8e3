/* bad_input_pool.c: every bad value of every parameter of the pool's calls, and every bad block, is refused and
 * changes nothing. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024, BLOCK_SIZE = 100 };

/* Marks outputs that must stay unwritten. */
static char unwritten;

static int32_t lock_nothing(void *ctx)
{
    (void)ctx;
    return 0;
}

struct pool_config_case {
    const char *name;
    void (*spoil)(larder_pool_config *config);
    larder_status want;
};

static void pc_size_0(larder_pool_config *c)
{
    c->struct_size = 0;
}

static void pc_size_4(larder_pool_config *c)
{
    c->struct_size = 4;
}

static void pc_size_above(larder_pool_config *c)
{
    c->struct_size = (uint32_t)sizeof *c + 8;
}

static void pc_abi_0(larder_pool_config *c)
{
    c->abi_version = 0;
}

static void pc_abi_2(larder_pool_config *c)
{
    c->abi_version = 2;
}

static void pc_flag_unknown(larder_pool_config *c)
{
    c->flags = UINT32_C(1) << 31;
}

static void pc_lock_alone(larder_pool_config *c)
{
    c->lock = lock_nothing;
}

static const struct pool_config_case pool_config_cases[] = {
    {"struct_size 0", pc_size_0, LARDER_INVALID},
    {"struct_size 4", pc_size_4, LARDER_INVALID},
    {"struct_size + 8", pc_size_above, LARDER_VERSION_MISMATCH},
    {"abi_version 0", pc_abi_0, LARDER_VERSION_MISMATCH},
    {"abi_version 2", pc_abi_2, LARDER_VERSION_MISMATCH},
    {"unknown flag", pc_flag_unknown, LARDER_INVALID},
    {"lock without unlock", pc_lock_alone, LARDER_INVALID},
};

static void bad_pool_configs_are_refused(void)
{
    struct region region = region_new(REGION_SIZE);
    for (size_t i = 0; i < sizeof pool_config_cases / sizeof pool_config_cases[0]; i++) {
        const struct pool_config_case *c = &pool_config_cases[i];
        larder_pool_config config;
        larder_pool *pool = (larder_pool *)&unwritten;
        set_context("pool_init", c->name);
        CHECK_STATUS(larder_pool_config_init(&config, sizeof config), LARDER_OK);
        c->spoil(&config);
        CHECK_STATUS(larder_pool_init(region.memory, region.size, &config, &pool), c->want);
        CHECK(pool == (larder_pool *)&unwritten);
        CHECK(all_bytes_are(region.memory, region.size, DIRT_BYTE));
    }
    region_free(&region);
}

/* The call must not access the memory, which is much smaller than the size passed. */
static void pools_above_16_gib_are_refused(void)
{
#if SIZE_MAX > 0xFFFFFFFF
    static const size_t sizes[] = {((size_t)1 << 34) + 1, (size_t)1 << 35, (size_t)1 << 36, SIZE_MAX / 4};
    struct region region = region_new(REGION_SIZE);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        larder_pool *pool = (larder_pool *)&unwritten;
        set_context("pool_init", "above 16 GiB");
        CHECK_STATUS(larder_pool_init(region.memory, sizes[i], NULL, &pool), LARDER_INVALID);
        CHECK(pool == (larder_pool *)&unwritten);
        CHECK(all_bytes_are(region.memory, region.size, DIRT_BYTE));
    }
    region_free(&region);
#endif
}

/* Checks that the pool is unchanged. Refused calls may count as failures. */
static void check_pool_unchanged(const larder_pool *pool, const larder_pool_stats_t *before)
{
    larder_pool_stats_t after = pool_stats_of(pool);
    CHECK(after.allocations == before->allocations && after.releases == before->releases);
    CHECK(after.reuses == before->reuses && after.misses == before->misses);
    CHECK(after.used_size == before->used_size && after.free_size == before->free_size);
    CHECK(after.overhead_size == before->overhead_size && after.pages_free == before->pages_free);
}

struct block_case {
    const char *name;
    void (*spoil)(larder_block *block);
    larder_status want;
};

static void block_no_pool(larder_block *b)
{
    b->pool = NULL;
}

static void block_all_zero(larder_block *b)
{
    memset(b, 0, sizeof *b);
}

static void block_next_generation(larder_block *b)
{
    b->generation++;
}

static void block_former_generation(larder_block *b)
{
    b->generation--;
}

static void block_no_data(larder_block *b)
{
    b->data = NULL;
}

static void block_data_shifted(larder_block *b)
{
    b->data = (unsigned char *)b->data + 1;
}

static void block_data_elsewhere(larder_block *b)
{
    b->data = &unwritten;
}

static const struct block_case block_cases[] = {
    {"pool NULL", block_no_pool, LARDER_INVALID},
    {"all zero", block_all_zero, LARDER_INVALID},
    {"next generation", block_next_generation, LARDER_STALE},
    {"former generation", block_former_generation, LARDER_STALE},
    {"data NULL", block_no_data, ANY_ERROR},
    {"data + 1", block_data_shifted, ANY_ERROR},
    {"data elsewhere", block_data_elsewhere, ANY_ERROR},
};

static void bad_blocks_are_refused(larder_pool *pool)
{
    larder_block block, other;
    set_context("pool_alloc", "good");
    CHECK_STATUS(larder_pool_alloc(pool, BLOCK_SIZE, &block), LARDER_OK);
    CHECK_STATUS(larder_pool_alloc(pool, BLOCK_SIZE, &other), LARDER_OK);
    memset(block.data, 0x11, block.size);
    memset(other.data, 0x22, other.size);
    larder_pool_stats_t before = pool_stats_of(pool);

    set_context("block_release", "NULL");
    CHECK_STATUS(larder_block_release(NULL), LARDER_INVALID);
    for (size_t i = 0; i < sizeof block_cases / sizeof block_cases[0]; i++) {
        larder_block spoiled = block, spoiled_before;
        set_context("block_release", block_cases[i].name);
        block_cases[i].spoil(&spoiled);
        memcpy(&spoiled_before, &spoiled, sizeof spoiled);
        CHECK_STATUS(larder_block_release(&spoiled), block_cases[i].want);
        CHECK(memcmp(&spoiled, &spoiled_before, sizeof spoiled) == 0);
        check_pool_unchanged(pool, &before);
        CHECK(all_bytes_are(block.data, block.size, 0x11));
    }

    set_context("block_release", "twice");
    larder_block copy = block, released;
    CHECK_STATUS(larder_block_release(&block), LARDER_OK);
    before = pool_stats_of(pool);
    memcpy(&released, &block, sizeof block);
    CHECK_STATUS(larder_block_release(&block), LARDER_STALE);
    CHECK(memcmp(&block, &released, sizeof block) == 0);
    released = copy;
    CHECK_STATUS(larder_block_release(&released), LARDER_STALE);
    check_pool_unchanged(pool, &before);

    /* a stale copy cannot release the same memory after it was allocated again */
    larder_block heir;
    CHECK_STATUS(larder_pool_alloc(pool, BLOCK_SIZE, &heir), LARDER_OK);
    memset(heir.data, 0x33, heir.size);
    before = pool_stats_of(pool);
    released = copy;
    CHECK_STATUS(larder_block_release(&released), LARDER_STALE);
    check_pool_unchanged(pool, &before);
    CHECK(all_bytes_are(heir.data, heir.size, 0x33));
    CHECK(all_bytes_are(other.data, other.size, 0x22));
    CHECK_STATUS(larder_block_release(&heir), LARDER_OK);
    CHECK_STATUS(larder_block_release(&other), LARDER_OK);
}

static void pool_calls(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_pool_config config;
    larder_pool *pool = NULL;
    set_context("pool", "setting up");
    CHECK_STATUS(larder_pool_config_init(&config, sizeof config), LARDER_OK);
    if (!CHECK_STATUS(larder_pool_init(region.memory, region.size, &config, &pool), LARDER_OK))
        return;
    bad_blocks_are_refused(pool);

    larder_pool_stats_t before = pool_stats_of(pool), stats, dirt;
    larder_block block, dirty_block;
    larder_pool_class_stats_t class_stats;
    memset(&dirt, DIRT_BYTE, sizeof dirt);
    memset(&stats, DIRT_BYTE, sizeof stats);
    memset(&block, DIRT_BYTE, sizeof block);
    memset(&dirty_block, DIRT_BYTE, sizeof dirty_block);
    memset(&class_stats, DIRT_BYTE, sizeof class_stats);

    set_context("pool", "bad arguments");
    CHECK_STATUS(larder_pool_alloc(NULL, BLOCK_SIZE, &block), LARDER_INVALID);
    CHECK_STATUS(larder_pool_alloc(pool, BLOCK_SIZE, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_pool_alloc(pool, 0, &block), LARDER_INVALID);
    CHECK_STATUS(larder_pool_alloc(pool, SIZE_MAX, &block), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_pool_alloc(pool, SIZE_MAX - 4095, &block), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_pool_alloc(pool, SIZE_MAX / 2 + 1, &block), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_pool_alloc(pool, REGION_SIZE + 1, &block), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_pool_alloc(pool, REGION_SIZE, &block), LARDER_TOO_LARGE);
    CHECK(memcmp(&block, &dirty_block, sizeof block) == 0);

    CHECK_STATUS(larder_pool_stats(NULL, &stats), LARDER_INVALID);
    CHECK(memcmp(&stats, &dirt, sizeof stats) == 0);
    CHECK_STATUS(larder_pool_stats(pool, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_pool_class_stats(NULL, 0, &class_stats), LARDER_INVALID);
    CHECK_STATUS(larder_pool_class_stats(pool, 0, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_pool_class_stats(pool, before.class_count, &class_stats), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_pool_class_stats(pool, UINT32_MAX, &class_stats), LARDER_NOT_FOUND);
    CHECK(all_bytes_are(&class_stats, sizeof class_stats, DIRT_BYTE));
    check_pool_unchanged(pool, &before);
    region_free(&region);
}

/* Blocks beyond 16 GiB, and items of a shard beyond 4 GiB - 128 KiB, have no address in the library. Such a region is
 * refused before it is accessed. */
static void larger_regions_than_can_be_reached_are_refused(void)
{
    struct region region = region_new(REGION_SIZE);
    uint64_t pool_max = UINT64_C(17179869184), cache_max = 64 * UINT64_C(4294836224);
    larder_pool *pool = NULL;
    set_context("pool_init", "size");
    for (uint64_t size = pool_max + 1; size < SIZE_MAX / 4; size += size / 2) {
        CHECK_STATUS(larder_pool_init(region.memory, (size_t)size, NULL, &pool), LARDER_INVALID);
        CHECK(pool == NULL && all_bytes_are(region.memory, region.size, DIRT_BYTE));
    }
    larder_cache *cache = NULL;
    set_context("cache_init", "size");
    for (uint64_t size = cache_max + 1; size < SIZE_MAX / 4; size += size / 2) {
        CHECK_STATUS(larder_cache_init(region.memory, (size_t)size, NULL, &cache), LARDER_INVALID);
        CHECK(cache == NULL && all_bytes_are(region.memory, region.size, DIRT_BYTE));
    }
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    bad_pool_configs_are_refused();
    pools_above_16_gib_are_refused();
    pool_calls();
    larger_regions_than_can_be_reached_are_refused();
    return check_end("bad_input_pool");
}
