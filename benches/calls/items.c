/* items.c: N calls of one kind on a full cache, to be counted under callgrind: two runs of different N, and their
 * difference is what a call takes.
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

/* Keys that were set lately. */
static void call_old(const char *kind, const unsigned char *key)
{
    if (strcmp(kind, "get") == 0) {
        check(larder_cache_get(cache, key, KEY_LEN, buffer, sizeof buffer, &len), LARDER_OK);
    } else if (strcmp(kind, "get_item") == 0) {
        larder_item item = LARDER_ITEM_INIT;
        check(larder_cache_get_item(cache, key, KEY_LEN, buffer, sizeof buffer, 0, &item), LARDER_OK);
    } else if (strcmp(kind, "set_tag") == 0) {
        check(larder_cache_set_tag(cache, key, KEY_LEN, 1, 1, NULL), LARDER_OK);
    } else {
        exit(2);
    }
}

/* New keys. */
static void call_new(const char *kind, const unsigned char *key)
{
    if (strcmp(kind, "set") == 0) {
        check(larder_cache_set(cache, key, KEY_LEN, value, VALUE_LEN, 0), LARDER_OK);
    } else if (strcmp(kind, "put") == 0) {
        larder_put put = LARDER_PUT_INIT;
        put.key = key;
        put.key_len = KEY_LEN;
        put.value = value;
        put.value_len = VALUE_LEN;
        check(larder_cache_put(cache, &put, NULL), LARDER_OK);
    } else if (strncmp(kind, "lease", 5) == 0) {
        larder_lease lease;
        check(larder_cache_lease(cache, key, KEY_LEN, 60000, &lease), LARDER_OK);
        if (strcmp(kind, "lease+fill") == 0)
            check(larder_cache_fill(cache, &lease, value, VALUE_LEN, 0), LARDER_OK);
    } else if (strcmp(kind, "set+append") == 0) {
        check(larder_cache_set(cache, key, KEY_LEN, value, VALUE_LEN, 0), LARDER_OK);
        check(larder_cache_append(cache, key, KEY_LEN, value, 16), LARDER_OK);
    } else {
        exit(2);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.flags = (uint32_t)strtoul(argv[2], NULL, 10);
    check(larder_cache_init(region, sizeof region, &config, &cache), LARDER_OK);
    unsigned char key[KEY_LEN];
    uint64_t id = 0, n = strtoull(argv[3], NULL, 10);
    for (; id < 3 * ITEMS; id++) {
        key_of(id, key);
        call_new("set", key);
    }
    int is_old = strcmp(argv[1], "get") == 0 || strcmp(argv[1], "get_item") == 0 || strcmp(argv[1], "set_tag") == 0;
    for (uint64_t i = 0; i < n; i++) {
        key_of(is_old ? id - 1 - i % 1000 : id + i, key);
        (is_old ? call_old : call_new)(argv[1], key);
    }
    return 0;
}
