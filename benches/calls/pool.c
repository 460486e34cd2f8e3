/* pool.c: allocates a block of 100 to 1,099 bytes and frees the oldest of 256, N times: from a pool, the C
 * library's heap, or an arena, which frees all blocks when it is full.
 *
 *   pool KIND COUNT     KIND: pool, keep, bare (keep, without lock and clock), arena, malloc, calloc */
#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Alignas(LARDER_ALIGN) static unsigned char region[1 << 20];
/* Through pointers, so that the compiler leaves the calls where they are. */
static void *(*volatile heap_malloc)(size_t) = malloc;
static void *(*volatile heap_calloc)(size_t, size_t) = calloc;
static void (*volatile heap_free)(void *) = free;

enum { LIVE = 256 };

static uint64_t no_clock(void *ctx)
{
    (void)ctx;
    return 0;
}

static size_t size_of(unsigned i)
{
    return 100 + i % 1000;
}

static int from_pool(const char *kind, unsigned count)
{
    larder_pool_config config = LARDER_POOL_CONFIG_INIT;
    if (strcmp(kind, "pool") != 0)
        config.flags = LARDER_KEEP_ON_FREE;
    if (strcmp(kind, "bare") == 0) {
        config.flags |= LARDER_SINGLE_THREAD;
        config.now_ms = no_clock;
    }
    larder_pool *pool;
    if (larder_pool_init(region, sizeof region, &config, &pool) != LARDER_OK)
        return EXIT_FAILURE;
    static larder_block blocks[LIVE];
    for (unsigned i = 0; i < count; i++) {
        larder_block *block = &blocks[i % LIVE];
        if (i >= LIVE && larder_block_release(block) != LARDER_OK)
            return EXIT_FAILURE;
        if (larder_pool_alloc(pool, size_of(i), block) != LARDER_OK)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int from_arena(unsigned count)
{
    larder_arena *arena;
    if (larder_arena_init(region, sizeof region, &arena) != LARDER_OK)
        return EXIT_FAILURE;
    for (unsigned i = 0; i < count; i++) {
        void *bytes;
        if (larder_arena_alloc(arena, size_of(i), 16, &bytes) == LARDER_NO_MEMORY && /* frees all of a region at once */
            larder_arena_reset(arena) != LARDER_OK)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int from_heap(int zeroed, unsigned count)
{
    static void *blocks[LIVE];
    for (unsigned i = 0; i < count; i++) {
        void **block = &blocks[i % LIVE];
        heap_free(*block);
        *block = zeroed ? heap_calloc(1, size_of(i)) : heap_malloc(size_of(i));
        if (*block == NULL)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: pool pool|keep|bare|arena|malloc|calloc COUNT\n", stderr);
        return 2;
    }
    const char *kind = argv[1];
    unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    if (strcmp(kind, "arena") == 0)
        return from_arena(count);
    if (strcmp(kind, "malloc") == 0 || strcmp(kind, "calloc") == 0)
        return from_heap(kind[0] == 'c', count);
    return from_pool(kind, count);
}
