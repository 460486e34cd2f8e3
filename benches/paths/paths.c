/* Calls of one kind, for benches/paths/paths.py to count: keys of 24 bytes, values of 64, a full cache.
 * usage: paths hit|miss|set|overwrite|delete ITEMS CALLS */
#include <larder.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_LEN = 24, VALUE_LEN = 64 };

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static void make_key(uint64_t id, unsigned char *key)
{
    const uint64_t words[] = {mix(id), mix(~id), id};
    memcpy(key, words, KEY_LEN);
}

static void must(larder_status status)
{
    if (status != LARDER_OK) {
        fprintf(stderr, "paths: %s\n", larder_strerror(status));
        exit(1);
    }
}

static unsigned char value[VALUE_LEN], buffer[VALUE_LEN];

static void set(larder_cache *cache, uint64_t id)
{
    unsigned char key[KEY_LEN];
    make_key(id, key);
    must(larder_cache_set(cache, key, KEY_LEN, value, VALUE_LEN, LARDER_TTL_DEFAULT));
}

static larder_status get(larder_cache *cache, uint64_t id)
{
    unsigned char key[KEY_LEN];
    size_t len;
    make_key(id, key);
    return larder_cache_get(cache, key, KEY_LEN, buffer, sizeof buffer, &len);
}

static larder_status delete(larder_cache *cache, uint64_t id)
{
    unsigned char key[KEY_LEN];
    make_key(id, key);
    return larder_cache_delete(cache, key, KEY_LEN);
}

/* Makes a cache for `items` items; with `evicts`, for no more than these. */
static larder_cache *full_cache(size_t items, int evicts)
{
    size_t size;
    larder_cache *cache;
    must(larder_cache_required_size(NULL, items, KEY_LEN, VALUE_LEN, &size));
    void *region = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    must(region ? LARDER_OK : LARDER_NO_MEMORY);
    must(larder_cache_init(region, size, NULL, &cache));
    for (uint64_t id = 0; id < items * (evicts ? 3 : 1); id++)
        set(cache, id);
    return cache;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: paths hit|miss|set|overwrite|delete ITEMS CALLS\n");
        return 2;
    }
    const char *kind = argv[1];
    const size_t items = strtoull(argv[2], NULL, 10), calls = strtoull(argv[3], NULL, 10);
    larder_cache *cache = full_cache(items, !strcmp(kind, "set"));
    const uint64_t fresh = (uint64_t)1 << 40;
    /* Reads each item once; later reads change its count of uses only sometimes. */
    for (uint64_t id = 0; id < items && !strcmp(kind, "hit"); id++)
        must(get(cache, id));
    if (!strcmp(kind, "hit"))
        for (uint64_t i = 0; i < calls; i++)
            must(get(cache, mix(i) % items));
    else if (!strcmp(kind, "miss"))
        for (uint64_t i = 0; i < calls; i++)
            must(get(cache, fresh + i) == LARDER_NOT_FOUND ? LARDER_OK : LARDER_INVALID);
    else if (!strcmp(kind, "set"))
        for (uint64_t i = 0; i < calls; i++)
            set(cache, fresh + i);
    else if (!strcmp(kind, "overwrite"))
        for (uint64_t i = 0; i < calls; i++)
            set(cache, mix(i) % items);
    else
        for (uint64_t i = 0; i < calls && i < items; i++)
            must(delete (cache, i));
    return 0;
}
