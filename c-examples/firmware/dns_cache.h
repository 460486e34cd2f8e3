/* dns_cache.h: answers of a name server, each kept as long as the server said. */
#ifndef DNS_CACHE_H
#define DNS_CACHE_H

#include <larder.h>

#include <stdbool.h>
#include <stdint.h>

#define DNS_REGION_SIZE 4096
#define DNS_ADDRESSES_MAX 4

/* No address at all is an answer too: there is no such host. */
struct dns_answer {
    uint8_t count;
    uint8_t addresses[DNS_ADDRESSES_MAX][4];
};

/* The cache's clock is `*uptime_ms`, which counts on and is never written while the cache is called. */
larder_status dns_cache_open(uint64_t *uptime_ms);

/* LARDER_OK and the answer, or LARDER_NOT_FOUND: ask the server. */
larder_status dns_cache_find(const char *name, struct dns_answer *answer);

/* A name too long for the cache is LARDER_TOO_LARGE; whoever resolved it needs not mind. */
larder_status dns_cache_keep(const char *name, const struct dns_answer *answer, uint32_t ttl_s);

/* LARDER_NOT_FOUND where there was none. */
larder_status dns_cache_forget(const char *name);

/* For a monitor, for statistics, and to move the limit. */
larder_cache *dns_cache_handle(void);

/* Answers that had to go to make room, since the start. */
uint64_t dns_cache_evictions(void);

#endif
