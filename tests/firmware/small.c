/* The smallest useful program: init, set, get and delete. */
#include <larder.h>

_Alignas(LARDER_ALIGN) static unsigned char region[4096];

int main(void)
{
    larder_cache *cache;
    unsigned char value[16];
    size_t len;
    return larder_cache_init(region, sizeof region, NULL, &cache) != LARDER_OK ||
           larder_cache_set(cache, "key", 3, "value", 5, 0) != LARDER_OK ||
           larder_cache_get(cache, "key", 3, value, sizeof value, &len) != LARDER_OK || len != 5 ||
           larder_cache_delete(cache, "key", 3) != LARDER_OK;
}

#ifdef WITHOUT_C_LIBRARY
void _start(void)
{
    main();
    for (;;) {
    }
}
#endif
