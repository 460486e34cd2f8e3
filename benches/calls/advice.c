/* advice.c: N gets, misses followed by sets, of popular and less popular keys in a full cache, to be counted under
 * callgrind: two runs of different N, and their difference is what a get takes.
 *
 *   advice ITEMS POLICY FLAGS N     POLICY and FLAGS as in larder_cache_config */
#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_LEN = 24, VALUE_LEN = 64 };

static larder_cache *cache;
static unsigned char value[VALUE_LEN];

static void check(larder_status status)
{
    if (status != LARDER_OK) {
        fprintf(stderr, "advice: %s\n", larder_strerror(status));
        exit(1);
    }
}

/* xorshift, G. Marsaglia, 2003. */
static uint64_t draw(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void get(uint64_t id)
{
    uint64_t key[KEY_LEN / 8] = {id * 0x9e3779b97f4a7c15u, id, 7};
    size_t len;
    if (larder_cache_get(cache, key, KEY_LEN, value, VALUE_LEN, &len) != LARDER_OK)
        check(larder_cache_set(cache, key, KEY_LEN, value, VALUE_LEN, 0));
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: advice ITEMS POLICY FLAGS N\n", stderr);
        return 2;
    }
    uint64_t items = strtoull(argv[1], NULL, 0), gets = strtoull(argv[4], NULL, 0);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    size_t size;
    config.policy = (uint32_t)strtoul(argv[2], NULL, 0);
    config.flags = (uint32_t)strtoul(argv[3], NULL, 0);
    check(larder_cache_required_size(&config, items, KEY_LEN, VALUE_LEN, &size));
    size = (size + 4095) / 4096 * 4096;
    void *memory = aligned_alloc(4096, size);
    if (memory == NULL)
        return 1;
    check(larder_cache_init(memory, size, &config, &cache));
    for (uint64_t id = 0; id < items * 3 / 2; id++)
        get(id % items);
    for (uint64_t i = 0; i < gets; i++)
        get(draw() % items * (draw() % items) / items);
    free(memory);
    return 0;
}
