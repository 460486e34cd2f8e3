/* dns_cache.c: a cache in 4 KiB of static memory. Keys are host names, values are addresses. The cache expires each
 * answer when its time is over. */
#include "dns_cache.h"

#include <string.h>

/* A value is the count and this number of addresses: an answer of one address takes 5 bytes. */
#define ANSWER_SIZE(count) (1 + 4 * (size_t)(count))

_Alignas(LARDER_ALIGN) static unsigned char region[DNS_REGION_SIZE];
static larder_cache *cache;
static uint64_t evictions;

static uint64_t clock_hook(void *ctx)
{
    return *(const uint64_t *)ctx;
}

static void event_hook(void *ctx, const larder_event *event)
{
    (void)ctx;
    if (event->kind == LARDER_EVENT_EVICTED)
        evictions += event->items;
}

larder_status dns_cache_open(uint64_t *uptime_ms)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.flags = LARDER_SINGLE_THREAD; /* one task calls the cache; interrupt handlers do not */
    config.now_ms = clock_hook;
    config.now_ctx = uptime_ms;
    config.on_event = event_hook;
    evictions = 0;
    return larder_cache_init(region, sizeof region, &config, &cache);
}

larder_status dns_cache_find(const char *name, struct dns_answer *answer)
{
    size_t len;
    return larder_cache_get(cache, name, strlen(name), answer, sizeof *answer, &len);
}

larder_status dns_cache_keep(const char *name, const struct dns_answer *answer, uint32_t ttl_s)
{
    if (answer->count > DNS_ADDRESSES_MAX)
        return LARDER_INVALID;
    if (ttl_s == 0) /* "do not keep" to a name server, but LARDER_TTL_DEFAULT to the cache */
        return LARDER_OK;
    return larder_cache_set(cache, name, strlen(name), answer, ANSWER_SIZE(answer->count), (uint64_t)ttl_s * 1000);
}

larder_status dns_cache_forget(const char *name)
{
    return larder_cache_delete(cache, name, strlen(name));
}

larder_cache *dns_cache_handle(void)
{
    return cache;
}

uint64_t dns_cache_evictions(void)
{
    return evictions;
}
