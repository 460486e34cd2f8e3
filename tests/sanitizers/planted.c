/* planted.c: a host's mistakes that checkers must find inside the library. Otherwise they would not find the library's
 * own. usage: planted overrun | race | overflow */
#include <larder.h>

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REGION_SIZE = 64 * 1024, ROUNDS = 20000 };

static int32_t lock_nobody_out(void *ctx)
{
    (void)ctx;
    return 0;
}

static void unlock(void *ctx)
{
    (void)ctx;
}

static larder_cache *cache_in(size_t allocated)
{
    larder_cache_config config;
    larder_cache *cache = NULL;
    void *region = aligned_alloc(LARDER_ALIGN, allocated);
    if (!region || larder_cache_config_init(&config, sizeof config) != LARDER_OK)
        exit(2);
    config.lock = lock_nobody_out;
    config.unlock = unlock;
    if (larder_cache_init(region, REGION_SIZE, &config, &cache) != LARDER_OK)
        exit(2);
    return cache;
}

static void *set_all(void *cache)
{
    for (uint32_t i = 0; i < ROUNDS; i++)
        larder_cache_set((larder_cache *)cache, &i, sizeof i, &i, sizeof i, 0);
    return NULL;
}

/* The region is shorter than the size passed to the library. */
static void overrun(void)
{
    set_all(cache_in(REGION_SIZE / 2));
}

/* Two threads, under a lock that excludes no thread. */
static void race(void)
{
    pthread_t other;
    larder_cache *cache = cache_in(REGION_SIZE);
    if (pthread_create(&other, NULL, set_all, cache) != 0)
        exit(2);
    set_all(cache);
    pthread_join(other, NULL);
}

/* An overflow in the C program itself. */
static void overflow(void)
{
    volatile int most = INT32_MAX;
    printf("%d\n", most + 1);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "overrun") == 0)
        overrun();
    if (strcmp(what, "race") == 0)
        race();
    if (strcmp(what, "overflow") == 0)
        overflow();
    return 0;
}
