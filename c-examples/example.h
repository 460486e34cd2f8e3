/* example.h: what the example programs share: a checked status, a region, statistics, numbers from the
 * command line, time and random numbers. Include it after _POSIX_C_SOURCE is defined. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <larder.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define EXIT_USAGE 2

/* An example has nothing to fall back on, so an unexpected status ends it. */
static inline void must(larder_status status, const char *call)
{
    if (status == LARDER_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, larder_strerror(status));
    exit(EXIT_FAILURE);
}

/* What larder promises; a promise that does not hold ends the program. */
static inline void require(bool holds, const char *claim)
{
    if (holds)
        return;
    fprintf(stderr, "does not hold: %s\n", claim);
    exit(EXIT_FAILURE);
}

/* `size` is a multiple of LARDER_ALIGN, as C11 wants it from aligned_alloc. */
static inline void *region_new(size_t size)
{
    void *region = aligned_alloc(LARDER_ALIGN, size);
    if (region == NULL) {
        fprintf(stderr, "no memory for a region of %zu bytes\n", size);
        exit(EXIT_FAILURE);
    }
    return region;
}

static inline larder_cache_stats_t stats_of(const larder_cache *cache)
{
    larder_cache_stats_t stats = LARDER_CACHE_STATS_INIT;
    must(larder_cache_stats(cache, &stats), "larder_cache_stats");
    return stats;
}

static inline double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

/* Reads "123", "64K", "16M" or "1G" (powers of 1024); false where it is anything else or outside min..max. */
static inline bool parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (at == text)
        return false;
    unsigned shift = 0;
    switch (*at) {
    case 'k': case 'K': shift = 10; at++; break;
    case 'm': case 'M': shift = 20; at++; break;
    case 'g': case 'G': shift = 30; at++; break;
    default: break;
    }
    if (*at != '\0' || number > UINT64_MAX >> shift)
        return false;
    number <<= shift;
    if (number < min || number > max)
        return false;
    *out = number;
    return true;
}

static inline double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014): spreads a number over all 64 bits. */
static inline uint64_t mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* splitmix64: the same numbers on every machine and in every run. */
static inline uint64_t random_next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return mix64(*state);
}

/* 53 random bits as a number in [0, 1). */
static inline double unit_interval(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1.0p-53;
}

#endif
