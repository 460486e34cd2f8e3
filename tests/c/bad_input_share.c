/* bad_input_share.c: every bad value of every parameter of what processes share is refused and changes nothing. */
#define _GNU_SOURCE
#include "share.h"

enum { SIZE = 256 * 1024 };

typedef larder_status (*enter)(void *memory, size_t size, const larder_cache_config *config, void *handle,
                               size_t handle_size, larder_cache **out);

static larder_cache_config usual = LARDER_CACHE_CONFIG_INIT;

/* What both refuse, whatever lies in the memory. */
static void refuses(enter call, const char *name, unsigned char *memory, void *handle)
{
    size_t own = larder_cache_handle_size();
    larder_cache *out = NULL;
    larder_cache_config bad = usual;
    set_context(name, "each parameter");
    CHECK_STATUS(call(NULL, SIZE, &usual, handle, own, &out), LARDER_INVALID);
    CHECK_STATUS(call(memory, SIZE, &usual, NULL, own, &out), LARDER_INVALID);
    CHECK_STATUS(call(memory, SIZE, &usual, handle, own, NULL), LARDER_INVALID);
    CHECK_STATUS(call(memory + 1, SIZE - 16, &usual, handle, own, &out), LARDER_MISALIGNED);
    CHECK_STATUS(call(memory + 8, SIZE - 16, &usual, handle, own, &out), LARDER_MISALIGNED);
    CHECK_STATUS(call(memory, 0, &usual, handle, own, &out), LARDER_NO_MEMORY);
    CHECK_STATUS(call(memory, 16, &usual, handle, own, &out), LARDER_NO_MEMORY);
    CHECK_STATUS(call(memory, SIZE_MAX, &usual, handle, own, &out), ANY_ERROR);
    CHECK_STATUS(call(memory, SIZE_MAX - 15, &usual, handle, own, &out), ANY_ERROR);
    CHECK_STATUS(call(memory, SIZE, &usual, handle, 0, &out), LARDER_NO_MEMORY);
    CHECK_STATUS(call(memory, SIZE, &usual, handle, own - 1, &out), LARDER_NO_MEMORY);
    CHECK_STATUS(call(memory, SIZE, &usual, (char *)handle + 1, own - 1, &out), LARDER_MISALIGNED);
    CHECK_STATUS(call(memory, SIZE, &usual, (char *)handle + 4, own, &out), LARDER_MISALIGNED);
    bad.struct_size = 0;
    CHECK_STATUS(call(memory, SIZE, &bad, handle, own, &out), LARDER_INVALID);
    bad = usual, bad.shards = 65;
    CHECK_STATUS(call(memory, SIZE, &bad, handle, own, &out), LARDER_INVALID);
    bad = usual, bad.policy = 77;
    CHECK_STATUS(call(memory, SIZE, &bad, handle, own, &out), LARDER_INVALID);
    bad = usual, bad.flags = LARDER_SINGLE_THREAD;
    CHECK_STATUS(call(memory, SIZE, &bad, handle, own, &out), LARDER_INVALID);
    bad = usual, bad.memory_limit = SIZE + 1;
    CHECK_STATUS(call(memory, SIZE, &bad, handle, own, &out), LARDER_INVALID);
    bad = usual, bad.pins_max = UINT32_MAX;
    CHECK_STATUS(call(memory, SIZE, &bad, handle, own, &out), ANY_ERROR);
    CHECK(out == NULL);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    struct region region = region_new(SIZE);
    void *handle = share_handle();
    larder_cache *cache = NULL, *other = NULL;
    memset(region.memory, 0, SIZE);
    refuses(larder_cache_share, "share", region.memory, handle);
    CHECK(all_bytes_are(region.memory, SIZE, 0));
    refuses(larder_cache_join, "join", region.memory, handle);
    CHECK_STATUS(larder_cache_join(NULL, 0, NULL, NULL, 0, NULL), LARDER_INVALID);
    CHECK(all_bytes_are(region.memory, SIZE, 0));

    set_context("share", "over a cache");
    CHECK_STATUS(larder_cache_share(region.memory, SIZE, &usual, handle, larder_cache_handle_size(), &cache),
                 LARDER_OK);
    void *spare = share_handle();
    CHECK_STATUS(larder_cache_set(cache, "key", 3, "value", 5, 0), LARDER_OK);
    refuses(larder_cache_join, "join", region.memory, spare);
    refuses(larder_cache_share, "share", region.memory, spare);
    CHECK_STATUS(share_make(region.memory, SIZE, NULL, &other), LARDER_EXISTS);
    CHECK_STATUS(share_join(region.memory, SIZE - 16, NULL, &other), LARDER_NO_MEMORY);
    CHECK(other == NULL);
    CHECK_STATUS(share_join(region.memory, SIZE, NULL, &other), LARDER_OK);
    CHECK_STATUS(larder_cache_contains(other, "key", 3), LARDER_OK);

    set_context("reap", "each parameter");
    CHECK_STATUS(larder_cache_reap(NULL, NULL, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_reap(other, NULL, NULL), LARDER_OK);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    region_free(&region);
    return check_end("bad_input_share");
}
