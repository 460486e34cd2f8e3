/* For MAP_ANONYMOUS: -std=gnu11, or -D_DEFAULT_SOURCE. */
#include <larder.h>
#include <stdlib.h>
#include <sys/mman.h>

/* The parent makes the cache, then forks. Each child uses `cache` as it is. */
larder_cache *make(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *handle = malloc(larder_cache_handle_size());
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    larder_cache *cache = NULL;
    config.shards = 8;
    if (memory != MAP_FAILED && handle != NULL)
        larder_cache_share(memory, size, &config, handle, larder_cache_handle_size(), &cache);
    return cache;
}
