/* items.c: makes N calls of one kind on a full cache under callgrind. The difference between two runs of different N
 * gives the instructions of a call.
 *
 *   items KIND FLAGS N     KIND is a name below, FLAGS those of larder_cache_config */
#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 20000, VALUE_LEN = 64, KEY_LEN = 24 };

_Alignas(4096) static unsigned char region[ITEMS * 128];
static larder_cache *cache;
static unsigned char value[VALUE_LEN], buffer[512];
static size_t len;

static void key_of(uint64_t id, unsigned char key[KEY_LEN])
{
    for (int i = 0; i < KEY_LEN / 8; i++) {
        uint64_t word = (id + (uint64_t)i) * 0x9e3779b97f4a7c15u;
        memcpy(key + 8 * i, &word, 8);
    }
}

static void check(larder_status status, larder_status want)
{
    if (status != want) {
        fprintf(stderr, "items: %s\n", larder_strerror(status));
        exit(1);
    }
}

static void call_get(const unsigned char *key)
{
    check(larder_cache_get(cache, key, KEY_LEN, buffer, sizeof buffer, &len), LARDER_OK);
}

static void call_get_item(const unsigned char *key)
{
    larder_item item = LARDER_ITEM_INIT;
    check(larder_cache_get_item(cache, key, KEY_LEN, buffer, sizeof buffer, 0, &item), LARDER_OK);
}

static void call_set_tag(const unsigned char *key)
{
    check(larder_cache_set_tag(cache, key, KEY_LEN, 1, 1, NULL), LARDER_OK);
}

static void call_set(const unsigned char *key)
{
    check(larder_cache_set(cache, key, KEY_LEN, value, VALUE_LEN, 0), LARDER_OK);
}

static void call_put(const unsigned char *key)
{
    larder_put put = LARDER_PUT_INIT;
    put.key = key;
    put.key_len = KEY_LEN;
    put.value = value;
    put.value_len = VALUE_LEN;
    check(larder_cache_put(cache, &put, NULL), LARDER_OK);
}

static void call_lease(const unsigned char *key)
{
    larder_lease lease;
    check(larder_cache_lease(cache, key, KEY_LEN, 60000, &lease), LARDER_OK);
}

static void call_lease_fill(const unsigned char *key)
{
    larder_lease lease;
    check(larder_cache_lease(cache, key, KEY_LEN, 60000, &lease), LARDER_OK);
    check(larder_cache_fill(cache, &lease, value, VALUE_LEN, 0), LARDER_OK);
}

static void call_set_append(const unsigned char *key)
{
    call_set(key);
    check(larder_cache_append(cache, key, KEY_LEN, value, 16), LARDER_OK);
}

static const struct {
    const char *name;
    void (*call)(const unsigned char *key);
    int is_old; /* whether the calls are on recently set keys */
} kinds[] = {
    { "get", call_get, 1 },
    { "get_item", call_get_item, 1 },
    { "set_tag", call_set_tag, 1 },
    { "set", call_set, 0 },
    { "put", call_put, 0 },
    { "lease", call_lease, 0 },
    { "lease+fill", call_lease_fill, 0 },
    { "set+append", call_set_append, 0 },
};

int main(int argc, char **argv)
{
    size_t kind = 0, count = sizeof kinds / sizeof kinds[0];
    while (argc == 4 && kind < count && strcmp(kinds[kind].name, argv[1]) != 0)
        kind++;
    if (argc != 4 || kind == count)
        return 2;
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.flags = (uint32_t)strtoul(argv[2], NULL, 10);
    check(larder_cache_init(region, sizeof region, &config, &cache), LARDER_OK);
    unsigned char key[KEY_LEN];
    uint64_t id = 0, n = strtoull(argv[3], NULL, 10);
    for (; id < 3 * ITEMS; id++) {
        key_of(id, key);
        call_set(key);
    }
    for (uint64_t i = 0; i < n; i++) {
        key_of(kinds[kind].is_old ? id - 1 - i % 1000 : id + i, key);
        kinds[kind].call(key);
    }
    return 0;
}
