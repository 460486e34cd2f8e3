/* attach.c: the time to attach to a full cache, and the time to fill it again: processor time, best of several runs.
 *
 *   attach [ITEMS] [checksum] */
#define _POSIX_C_SOURCE 200809L
#include <larder.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VALUE_LEN = 64, RUNS = 5 };

static double seconds_used(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must(larder_status status, const char *call)
{
    if (status == LARDER_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, larder_strerror(status));
    exit(EXIT_FAILURE);
}

static void fill(larder_cache *cache, uint64_t items)
{
    char key[17], value[VALUE_LEN];
    memset(value, 'v', sizeof value);
    for (uint64_t n = 0; n < items; n++) {
        snprintf(key, sizeof key, "%016llx", (unsigned long long)(n * UINT64_C(0x9e3779b97f4a7c15)));
        must(larder_cache_set(cache, key, 16, value, sizeof value, 0), "larder_cache_set");
    }
}

/* The time for making the keys alone. */
static double time_of_keys(uint64_t items)
{
    char key[17];
    unsigned sum = 0;
    double start = seconds_used();
    for (uint64_t n = 0; n < items; n++) {
        snprintf(key, sizeof key, "%016llx", (unsigned long long)(n * UINT64_C(0x9e3779b97f4a7c15)));
        sum += (unsigned char)key[15];
    }
    return seconds_used() - start + (sum == 1 ? 1e-9 : 0);
}

int main(int argc, char **argv)
{
    uint64_t items = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    larder_cache_config config;
    larder_cache *cache;
    larder_attach_report report;
    size_t size;
    must(larder_cache_config_init(&config, sizeof config), "larder_cache_config_init");
    config.flags = argc > 2 ? LARDER_CHECKSUM : 0;
    must(larder_cache_required_size(&config, items, 16, VALUE_LEN, &size), "larder_cache_required_size");
    size = (size + 63) & ~(size_t)63;
    void *region = aligned_alloc(64, size);
    if (region == NULL)
        return EXIT_FAILURE;
    memset(region, 0, size);

    double filling = 1e9, attaching = 1e9, keys = time_of_keys(items);
    must(larder_cache_init(region, size, &config, &cache), "larder_cache_init");
    for (int run = 0; run < RUNS; run++) {
        must(larder_cache_clear(cache), "larder_cache_clear");
        double start = seconds_used();
        fill(cache, items);
        double end = seconds_used();
        filling = end - start - keys < filling ? end - start - keys : filling;
        start = seconds_used();
        must(larder_cache_attach(region, size, &config, &cache, &report), "larder_cache_attach");
        end = seconds_used();
        attaching = end - start < attaching ? end - start : attaching;
    }
    must(larder_cache_check(cache), "larder_cache_check");
    printf("%llu items of 16 + %d B%s: %llu taken over in %.1f ms (%.1f million a second); filled in %.1f ms: "
           "%.1f times as long\n",
           (unsigned long long)items, VALUE_LEN, argc > 2 ? ", checksums" : "",
           (unsigned long long)report.items_recovered,
           attaching * 1e3, (double)report.items_recovered / attaching / 1e6, filling * 1e3, filling / attaching);
    return report.items_recovered > items * 99 / 100 ? EXIT_SUCCESS : EXIT_FAILURE;
}
