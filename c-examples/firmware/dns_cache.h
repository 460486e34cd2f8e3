/* dns_cache.h: answers of a name server, each kept for the time that the server gave. */
#ifndef DNS_CACHE_H
#define DNS_CACHE_H

#include <larder.h>

#include <stdbool.h>
#include <stdint.h>

#define DNS_REGION_SIZE 4096
#define DNS_ADDRESSES_MAX 4

/* An answer without an address means that there is no such host. */
struct dns_answer {
    uint8_t count;
    uint8_t addresses[DNS_ADDRESSES_MAX][4];
};

/* The cache's clock is `*uptime_ms`, which only increases and is not written during calls of the cache. */
larder_status dns_cache_open(uint64_t *uptime_ms);

/* Returns LARDER_OK and the answer, or LARDER_NOT_FOUND: then ask the server. */
larder_status dns_cache_find(const char *name, struct dns_answer *answer);

/* A name too long for the cache is LARDER_TOO_LARGE, which the resolver can ignore. */
larder_status dns_cache_keep(const char *name, const struct dns_answer *answer, uint32_t ttl_s);

/* Returns LARDER_NOT_FOUND if there was no answer. */
larder_status dns_cache_forget(const char *name);

/* For a monitor, for statistics, and to change the limit. */
larder_cache *dns_cache_handle(void);

/* Answers evicted since the start. */
uint64_t dns_cache_evictions(void);

#endif
