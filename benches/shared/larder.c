/* larder.c: answers the requests of a file from a larder cache in shared memory, in one process: get, and on a miss
 * set. Prints a line for each window of requests; at the end the walker looks at the whole cache.
 *
 * Usage:  larder FILE MIB WINDOW
 *
 * A line of FILE has a key and the bytes of its value. A line printed has: gets, hits, stores, stores refused, stores
 * that evicted items, stores that left less than half of the items, hits whose value had another length. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { VALUE_MAX = 1 << 20, SHARDS = 8 };

struct window {
    unsigned gets, hits, stores, refused, evicting, wipes, wrong;
};

static void must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "larder: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static larder_cache *make(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *handle = malloc(larder_cache_handle_size());
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    larder_cache *cache = NULL;
    config.shards = SHARDS;
    must(memory != MAP_FAILED && handle != NULL, "no memory");
    larder_status status = larder_cache_share(memory, size, &config, handle, larder_cache_handle_size(), &cache);
    must(status == LARDER_OK, larder_strerror(status));
    return cache;
}

static larder_cache_stats_t stats_of(const larder_cache *cache)
{
    larder_cache_stats_t stats = LARDER_CACHE_STATS_INIT;
    must(larder_cache_stats(cache, &stats) == LARDER_OK, "no statistics");
    return stats;
}

static void store(larder_cache *cache, const char *key, const char *value, size_t len, struct window *window)
{
    larder_cache_stats_t before = stats_of(cache);
    window->stores++;
    window->refused += larder_cache_set(cache, key, strlen(key), value, len, LARDER_TTL_NEVER) != LARDER_OK;
    larder_cache_stats_t after = stats_of(cache);
    window->evicting += after.evictions > before.evictions;
    window->wipes += after.item_count < before.item_count / 2;
}

static void answer(larder_cache *cache, const char *key, size_t len, struct window *window)
{
    static char value[VALUE_MAX];
    size_t found;
    larder_status status = larder_cache_get(cache, key, strlen(key), value, sizeof value, &found);
    window->gets++;
    if (status == LARDER_OK) {
        window->hits++;
        window->wrong += found != len;
        return;
    }
    must(status == LARDER_NOT_FOUND, larder_strerror(status));
    memset(value, 'x', len);
    store(cache, key, value, len, window);
}

static void print(struct window *window)
{
    printf("%u %u %u %u %u %u %u\n", window->gets, window->hits, window->stores, window->refused, window->evicting,
           window->wipes, window->wrong);
    memset(window, 0, sizeof *window);
}

int main(int argc, char **argv)
{
    must(argc == 4, "usage: larder FILE MIB WINDOW");
    FILE *requests = fopen(argv[1], "r");
    must(requests != NULL, "the file of requests cannot be read");
    larder_cache *cache = make((size_t)strtoul(argv[2], NULL, 10) << 20);
    unsigned long every = strtoul(argv[3], NULL, 10);
    struct window window = { 0 };
    char key[64];
    size_t len;
    while (fscanf(requests, "%63s %zu", key, &len) == 2) {
        must(len <= VALUE_MAX, "a value of the file is longer than 1 MiB");
        answer(cache, key, len, &window);
        if (window.gets == every)
            print(&window);
    }
    fclose(requests);
    must(larder_cache_check(cache) == LARDER_OK, "the walker finds fault");
    return 0;
}
