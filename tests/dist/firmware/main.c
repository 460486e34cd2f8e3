/* A 4 KiB cache in static memory, for a core without an operating system. Ends with 0 if the value is right. */
#include <larder.h>
#include <string.h>

#ifndef LARDER_BARE_METAL
#error "the package tells that there is no operating system"
#endif

_Alignas(LARDER_ALIGN) static unsigned char region[4096];

int main(void)
{
    larder_cache_config config;
    larder_cache *cache;
    char value[8];
    size_t len = 0;
    if (larder_cache_config_init(&config, sizeof config) != LARDER_OK)
        return 1;
    config.flags = LARDER_SINGLE_THREAD;
    if (larder_cache_init(region, sizeof region, &config, &cache) != LARDER_OK)
        return 2;
    if (larder_cache_set(cache, "key", 3, "value", 5, LARDER_TTL_NEVER) != LARDER_OK)
        return 3;
    if (larder_cache_get(cache, "key", 3, value, sizeof value, &len) != LARDER_OK)
        return 4;
    return len == 5 && memcmp(value, "value", 5) == 0 ? 0 : 5;
}
