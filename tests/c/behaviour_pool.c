/* behaviour_pool.c: blocks of every size are apart, zeroed, reused and counted, and pages change class. */
#include "check.h"

enum { REGION_SIZE = 256 * 1024, BLOCK_COUNT_MAX = 20000, BLOCK_OVERHEAD_MAX = 32 };

/* Checks what must hold after every call. */
static larder_pool_stats_t check_pool(const larder_pool *pool, const struct region *region)
{
    larder_pool_stats_t stats = pool_stats_of(pool);
    CHECK(stats.total_size == region->size);
    CHECK(stats.used_size + stats.free_size + stats.overhead_size == stats.total_size);
    CHECK(stats.allocations == stats.reuses + stats.misses);
    CHECK(stats.releases <= stats.allocations);
    CHECK(stats.used_size <= stats.peak_used_size && stats.peak_used_size <= stats.total_size);
    CHECK(stats.pages_free <= stats.page_count);
    return stats;
}

static void check_classes(const larder_pool *pool)
{
    larder_pool_stats_t stats = pool_stats_of(pool);
    uint64_t allocations = 0, reuses = 0;
    size_t block_size = 0, pages = 0;
    for (uint32_t i = 0; i < stats.class_count; i++) {
        larder_pool_class_stats_t c;
        memset(&c, 0, sizeof c);
        CHECK_STATUS(larder_pool_class_stats(pool, i, &c), LARDER_OK);
        CHECK(c.block_size > block_size);
        CHECK(c.allocations == c.reuses + c.misses);
        block_size = c.block_size;
        allocations += c.allocations;
        reuses += c.reuses;
        pages += c.pages;
    }
    CHECK(allocations <= stats.allocations && reuses <= stats.reuses);
    CHECK(pages <= stats.page_count);
}

static larder_pool_config pool_config_default(void)
{
    larder_pool_config config;
    CHECK_STATUS(larder_pool_config_init(&config, sizeof config), LARDER_OK);
    return config;
}

static larder_pool *pool_new(const struct region *region, const larder_pool_config *config)
{
    larder_pool *pool = NULL;
    if (!CHECK_STATUS(larder_pool_init(region->memory, region->size, config, &pool), LARDER_OK))
        exit(check_end("cut short"));
    return pool;
}

static larder_block block_new(larder_pool *pool, size_t size, const struct region *region)
{
    larder_block block;
    memset(&block, 0, sizeof block);
    if (!CHECK_STATUS(larder_pool_alloc(pool, size, &block), LARDER_OK))
        return block;
    CHECK(block.size == size && block.capacity >= size);
    CHECK(block.pool == pool && block.in_use == 1);
    CHECK(region_has(region, block.data, block.capacity));
    CHECK((uintptr_t)block.data % LARDER_ALIGN == 0);
    return block;
}

static void block_free(larder_block *block)
{
    CHECK_STATUS(larder_block_release(block), LARDER_OK);
    CHECK(block->in_use == 0);
    CHECK_STATUS(larder_block_release(block), LARDER_STALE);
}

/* A freed block is zero, except for the LINK_SIZE bytes at its start that the pool may use. In a region that was zero
 * at first, every new block is zero. */
enum { LINK_SIZE = 16 };

static struct region region_of_zeros(void)
{
    struct region region = region_new(REGION_SIZE);
    memset(region.memory, 0, region.size);
    return region;
}

static void blocks_of_every_size_are_zeroed(void)
{
    struct region region = region_of_zeros();
    larder_pool_config config = pool_config_default();
    larder_pool *pool = pool_new(&region, &config);
    size_t page_size = pool_stats_of(pool).page_size;
    size_t step = (size_t)check_rounds(1, 29);
    CHECK(page_size > 0 && page_size < REGION_SIZE);
    for (size_t size = 1; size <= page_size; size += step) {
        larder_block block = block_new(pool, size, &region);
        if (!block.data)
            continue;
        unsigned char *data = (unsigned char *)block.data;
        CHECK(all_bytes_are(data, size, 0));
        memset(data, 0xEE, size);
        block_free(&block);
        if (size > LINK_SIZE)
            CHECK(all_bytes_are(data + LINK_SIZE, size - LINK_SIZE, 0));
        larder_pool_stats_t before = check_pool(pool, &region);
        larder_block again = block_new(pool, size, &region);
        if (again.data)
            CHECK(all_bytes_are(again.data, size, 0));
        if (again.data == (void *)data)
            CHECK(pool_stats_of(pool).reuses == before.reuses + 1);
        block_free(&again);
        CHECK(check_pool(pool, &region).used_size == 0);
    }
    check_classes(pool);
    region_free(&region);
}

static void blocks_above_a_page_are_served(void)
{
    struct region region = region_of_zeros();
    larder_pool_config config = pool_config_default();
    larder_pool *pool = pool_new(&region, &config);
    size_t page_size = pool_stats_of(pool).page_size;
    size_t sizes[] = {page_size + 1, 2 * page_size, 3 * page_size + 7, REGION_SIZE / 8, REGION_SIZE / 4};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int round = 0; round < 3; round++) {
            larder_block block = block_new(pool, sizes[i], &region);
            if (!block.data)
                continue;
            CHECK(all_bytes_are(block.data, sizes[i], 0));
            memset(block.data, 0xEE, sizes[i]);
            larder_pool_stats_t stats = check_pool(pool, &region);
            CHECK(stats.used_size >= sizes[i]);
            block_free(&block);
            CHECK(check_pool(pool, &region).used_size == 0);
        }
    }
    region_free(&region);
}

static void released_blocks_are_reused_and_counted(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_pool_config config = pool_config_default();
    uint64_t now_ms = 123456;
    config.now_ms = hook_now_ms;
    config.now_ctx = &now_ms;
    larder_pool *pool = pool_new(&region, &config);
    larder_pool_stats_t fresh = check_pool(pool, &region);
    CHECK(fresh.allocations == 0 && fresh.reuses == 0 && fresh.misses == 0 && fresh.releases == 0);
    CHECK(fresh.used_size == 0 && fresh.failures == 0);

    larder_block first = block_new(pool, 100, &region);
    larder_pool_stats_t stats = check_pool(pool, &region);
    CHECK(first.allocated_at_ms == now_ms);
    CHECK(stats.allocations == 1 && stats.misses == 1 && stats.reuses == 0 && stats.used_size >= 100);
    block_free(&first);
    stats = check_pool(pool, &region);
    CHECK(stats.releases == 1 && stats.used_size == 0);
    for (uint64_t i = 1; i <= 100; i++) {
        now_ms += 1000;
        larder_block block = block_new(pool, 100, &region);
        CHECK(block.allocated_at_ms == now_ms);
        block_free(&block);
        stats = check_pool(pool, &region);
        CHECK(stats.allocations == i + 1 && stats.releases == i + 1);
        CHECK(stats.reuses == i && stats.misses == 1);
    }
    check_classes(pool);
    region_free(&region);
}

static void kept_blocks_are_not_zeroed(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_pool_config config = pool_config_default();
    config.flags |= LARDER_KEEP_ON_FREE;
    larder_pool *pool = pool_new(&region, &config);
    larder_block block = block_new(pool, 200, &region);
    unsigned char *data = (unsigned char *)block.data;
    memset(data, 0xEE, 200);
    block_free(&block);
    CHECK(all_bytes_are(data + LINK_SIZE, 200 - LINK_SIZE, 0xEE));
    check_pool(pool, &region);
    region_free(&region);
}

static larder_block blocks[BLOCK_COUNT_MAX];

/* Random sizes with many blocks in use, each filled with its own pattern. */
static void blocks_never_overlap(void)
{
    enum { ALIVE_MAX = 400 };
    struct region region = region_new(REGION_SIZE);
    larder_pool_config config = pool_config_default();
    larder_pool *pool = pool_new(&region, &config);
    uint64_t random = 7, failures = 0;
    memset(blocks, 0, sizeof blocks);
    for (int round = 0; round < check_rounds(20000, 1500); round++) {
        int i = (int)(next_random(&random) % ALIVE_MAX);
        larder_block *block = &blocks[i];
        unsigned char byte = (unsigned char)(1 + i % 250);
        if (block->data) {
            CHECK(all_bytes_are(block->data, block->size, byte));
            block_free(block);
            memset(block, 0, sizeof *block);
        } else {
            size_t size = 1 + (size_t)(next_random(&random) % (next_random(&random) % 16 == 0 ? 20000 : 500));
            larder_status status = larder_pool_alloc(pool, size, block);
            if (status == LARDER_OK) {
                CHECK(region_has(&region, block->data, block->capacity));
                memset(block->data, byte, size);
            } else {
                CHECK_STATUS(status, LARDER_NO_MEMORY);
                CHECK(block->data == NULL);
                failures++;
            }
        }
        check_pool(pool, &region);
    }
    CHECK(pool_stats_of(pool).failures == failures);
    check_classes(pool);
    for (int i = 0; i < ALIVE_MAX; i++) {
        if (!blocks[i].data)
            continue;
        CHECK(all_bytes_are(blocks[i].data, blocks[i].size, (unsigned char)(1 + i % 250)));
        block_free(&blocks[i]);
    }
    CHECK(check_pool(pool, &region).used_size == 0);
    region_free(&region);
}

/* Allocates blocks of one size until there is no room, then frees them. Returns their number. */
static int fill_and_empty(larder_pool *pool, size_t size, const struct region *region)
{
    int count = 0;
    larder_status status = LARDER_OK;
    while (count < BLOCK_COUNT_MAX && (status = larder_pool_alloc(pool, size, &blocks[count])) == LARDER_OK) {
        memset(blocks[count].data, 1 + count % 250, size);
        count++;
    }
    CHECK_STATUS(status, LARDER_NO_MEMORY);
    check_pool(pool, region);
    int intact = 1;
    for (int i = 0; i < count; i++)
        intact &= all_bytes_are(blocks[i].data, size, (unsigned char)(1 + i % 250));
    CHECK(intact);
    for (int i = 0; i < count; i++)
        CHECK_STATUS(larder_block_release(&blocks[i]), LARDER_OK);
    CHECK(check_pool(pool, region).used_size == 0);
    return count;
}

static void pages_go_to_the_size_that_needs_them(void)
{
    static const size_t sizes[] = {64, 1000, 24, 300, 64};
    struct region region = region_new(REGION_SIZE);
    larder_pool_config config = pool_config_default();
    larder_pool *pool = pool_new(&region, &config);
    int first_count = fill_and_empty(pool, sizes[0], &region);
    for (size_t i = 1; i < sizeof sizes / sizeof sizes[0]; i++) {
        int count = fill_and_empty(pool, sizes[i], &region);
        CHECK((size_t)count * (sizes[i] + BLOCK_OVERHEAD_MAX) > REGION_SIZE * 6 / 10);
    }
    CHECK(fill_and_empty(pool, sizes[0], &region) == first_count);
    larder_block block = block_new(pool, REGION_SIZE / 4, &region);
    block_free(&block);
    check_classes(pool);
    region_free(&region);
}

struct lock {
    int depth, taken, given;
};

static int32_t lock_take(void *ctx)
{
    struct lock *lock = (struct lock *)ctx;
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
    struct lock lock = {0, 0, 0};
    larder_pool_config config = pool_config_default();
    config.lock = config.try_lock = lock_take;
    config.unlock = lock_give;
    config.lock_ctx = &lock;
    larder_pool *pool = pool_new(&region, &config);
    for (size_t size = 1; size < 3000; size += 97) {
        larder_block block = block_new(pool, size, &region);
        block_free(&block);
        CHECK(lock.depth == 0);
    }
    larder_block block;
    CHECK_STATUS(larder_pool_alloc(pool, SIZE_MAX, &block), LARDER_TOO_LARGE);
    CHECK(lock.depth == 0 && lock.taken == lock.given && lock.taken > 0);
    check_pool(pool, &region);
    CHECK(lock.depth == 0 && lock.taken == lock.given);
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    blocks_of_every_size_are_zeroed();
    blocks_above_a_page_are_served();
    released_blocks_are_reused_and_counted();
    kept_blocks_are_not_zeroed();
    blocks_never_overlap();
    pages_go_to_the_size_that_needs_them();
    lock_hooks_are_balanced();
    return check_end("behaviour_pool");
}
