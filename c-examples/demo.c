/* demo.c: a cache of 10 MiB at work, and a monitor that watches it from a thread of its own.
 *
 * Build:  cc -std=c11 c-examples/demo.c -Iinclude target/lib/liblarder.a -lpthread -lm
 * Usage:  demo [--interval MS]        the monitor's interval, 500 ms by default
 *
 * 1,000 items come; the cache is optimized; the limit goes down to 5 MiB and 1,000 more items come; then
 * values of mixed sizes, a quarter of them with a TTL of 300 ms, go far beyond the limit. Every hit is
 * compared with what was set: exit code 1 where it differs, or where usage is above the limit. A run takes
 * about five seconds. Every number comes from the library.
 *
 * Prints, with N for what depends on the version and the machine, and the monitor's lines in between:
 *    == 1000 items with a TTL of an hour
 *         100 items          N / 10485760 bytes    N%          and so on to 1000
 *    monitor:          N / 10485760 bytes    N%
 *    == optimize
 *       N bytes freed, N items expired, N items moved, N pages freed
 *    == statistics
 *       items, usage, pressure, hits, misses, evicted, expired, pool, arena, reclaim passes, monitor: a line each
 *    == the limit is now 5242880 bytes
 *    == 1000 items with a TTL of an hour                       100 to 1000 as above
 *    == mixed values beyond the limit
 *           N items          N /  5242880 bytes    N%      N hits      N misses      N evicted      N expired
 *    monitor:          N /  5242880 bytes    N%, optimized: N bytes freed
 *    == final statistics                                       as above
 */
#define _POSIX_C_SOURCE 200809L

#include "example.h"
#include "zipf.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#define REGION_SIZE (UINT32_C(10) << 20)
#define LOWER_LIMIT (UINT32_C(5) << 20)
#define TEXT_ITEMS 1000
#define REPORT_EVERY 100
#define REPORT_PAUSE_MS 50 /* so that the monitor's lines come between the reports */
#define TEXT_TTL_MS (UINT64_C(60) * 60 * 1000)
#define TEXT_SIZE_MAX 512
#define MIXED_KEYS 50000
#define MIXED_ROUNDS 10
#define MIXED_REQUESTS 12000
#define MIXED_PAUSE_MS 400 /* longer than the short TTL: the monitor finds expired items to free */
#define MIXED_TTL_MS 300
#define MIXED_SIZE_MAX 4096

static void sleep_ms(long ms)
{
    struct timespec rest = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    nanosleep(&rest, NULL);
}

/* ---- what is printed ---- */

static larder_cache_stats_t checked_stats(const larder_cache *cache)
{
    larder_cache_stats_t stats = stats_of(cache);
    require(stats.total_used <= stats.limit_bytes, "usage is at most the limit");
    return stats;
}

static void print_usage(const larder_cache_stats_t *stats)
{
    printf("%8" PRIu64 " items %10" PRIu64 " / %8" PRIu64 " bytes %4" PRIu32 "%%", stats->item_count,
           stats->total_used, stats->limit_bytes, stats->memory_pressure);
}

static void report(const larder_cache *cache)
{
    larder_cache_stats_t stats = checked_stats(cache);
    print_usage(&stats);
    putchar('\n');
}

/* Runs in the monitor's thread. It must not call the cache that is watched: that would be LARDER_BUSY. */
static void on_monitor_report(void *ctx, const larder_monitor_report *report)
{
    (void)ctx;
    char freed[64] = "";
    if (report->optimized != 0)
        snprintf(freed, sizeof freed, ", optimized: %" PRIu64 " bytes freed", report->bytes_freed);
    printf("monitor: %10" PRIu64 " / %8" PRIu64 " bytes %4" PRIu32 "%%%s\n", report->usage, report->limit,
           report->pressure_percent, freed);
}

static void print_statistics(const char *title, const larder_cache *cache, const larder_monitor *monitor)
{
    larder_cache_stats_t stats = checked_stats(cache);
    larder_monitor_stats_t watch;
    must(larder_monitor_stats(monitor, &watch), "larder_monitor_stats");
    printf("== %s\n", title);
    printf("   items          %" PRIu64 "\n", stats.item_count);
    printf("   usage          %" PRIu64 " of %" PRIu64 " bytes, at most %" PRIu64 " so far\n", stats.total_used,
           stats.limit_bytes, stats.peak_used);
    printf("   pressure       %" PRIu32 "%%, at most %" PRIu32 "%% when the monitor looked\n", stats.memory_pressure,
           watch.peak_pressure);
    printf("   hits, misses   %" PRIu64 ", %" PRIu64 "\n", stats.hits, stats.misses);
    printf("   evicted        %" PRIu64 ", expired %" PRIu64 "\n", stats.evictions, stats.expirations);
    printf("   pool reuses    %" PRIu64 "\n", stats.pool_reuses);
    printf("   arena allocs   %" PRIu64 "\n", stats.arena_allocs);
    printf("   reclaim passes %" PRIu64 "\n", stats.reclaim_passes);
    printf("   monitor        %" PRIu64 " checks, %" PRIu64 " optimizations, %" PRIu64 " bytes freed\n",
           watch.checks_performed, watch.optimizations, watch.memory_freed);
}

/* ---- text items: one after the other, for an hour ---- */

static size_t make_text_key(int i, char key[16])
{
    return (size_t)snprintf(key, 16, "key_%d", i);
}

static void make_text(int i, char text[TEXT_SIZE_MAX])
{
    int len = snprintf(text, TEXT_SIZE_MAX, "This is the value of key %d. ", i);
    while (len < TEXT_SIZE_MAX / 2)
        len += snprintf(text + len, (size_t)(TEXT_SIZE_MAX - len), "It has some more text so that it takes memory. ");
}

static void set_texts(larder_cache *cache, int first)
{
    char key[16], text[TEXT_SIZE_MAX];
    printf("== %d items with a TTL of an hour\n", TEXT_ITEMS);
    for (int i = 0; i < TEXT_ITEMS; i++) {
        size_t key_len = make_text_key(first + i, key);
        make_text(first + i, text);
        must(larder_cache_set_str(cache, key, key_len, text, TEXT_TTL_MS), "larder_cache_set_str");
        if ((i + 1) % REPORT_EVERY != 0)
            continue;
        report(cache);
        sleep_ms(REPORT_PAUSE_MS);
    }
}

/* A miss is no error: a cache may evict. A hit must be what was set. */
static void check_texts(larder_cache *cache, int count)
{
    char key[16], expected[TEXT_SIZE_MAX], text[TEXT_SIZE_MAX];
    for (int i = 0; i < count; i++) {
        size_t key_len = make_text_key(i, key), len;
        larder_status status = larder_cache_get_str(cache, key, key_len, text, sizeof text, &len);
        if (status == LARDER_NOT_FOUND)
            continue;
        must(status, "larder_cache_get_str");
        make_text(i, expected);
        require(len == strlen(expected) && strcmp(text, expected) == 0, "a hit is what was set");
    }
}

/* ---- mixed items: 16 to 4,096 bytes, some short-lived, more than fit ---- */

static void make_mixed(uint32_t id, unsigned char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        value[i] = (unsigned char)(id * 31 + i);
}

/* What a read-through host does: get, and on a miss make the value and set it. */
static void get_or_set_mixed(larder_cache *cache, uint32_t id)
{
    unsigned char expected[MIXED_SIZE_MAX], value[MIXED_SIZE_MAX];
    char key[24];
    size_t key_len = (size_t)snprintf(key, sizeof key, "mixed_%" PRIu32, id);
    size_t size = size_of_key(id), len;
    make_mixed(id, expected, size);
    larder_status status = larder_cache_get(cache, key, key_len, value, sizeof value, &len);
    if (status == LARDER_NOT_FOUND) {
        uint64_t ttl_ms = id % 4 == 0 ? MIXED_TTL_MS : LARDER_TTL_NEVER;
        must(larder_cache_set(cache, key, key_len, expected, size, ttl_ms), "larder_cache_set");
        return;
    }
    must(status, "larder_cache_get");
    require(len == size && memcmp(value, expected, size) == 0, "a hit is what was set");
}

static void report_round(const larder_cache_stats_t *before, const larder_cache_stats_t *after)
{
    print_usage(after);
    printf(" %6" PRIu64 " hits %6" PRIu64 " misses %6" PRIu64 " evicted %6" PRIu64 " expired\n",
           after->hits - before->hits, after->misses - before->misses, after->evictions - before->evictions,
           after->expirations - before->expirations);
}

static void run_mixed(larder_cache *cache)
{
    struct zipf zipf;
    uint64_t random = 1;
    zipf_init(&zipf, MIXED_KEYS, 0.99);
    puts("== mixed values beyond the limit");
    for (int round = 0; round < MIXED_ROUNDS; round++) {
        larder_cache_stats_t before = stats_of(cache);
        for (int i = 0; i < MIXED_REQUESTS; i++)
            get_or_set_mixed(cache, zipf_next(&zipf, &random));
        larder_cache_stats_t after = checked_stats(cache);
        report_round(&before, &after);
        sleep_ms(MIXED_PAUSE_MS);
    }
    zipf_free(&zipf);
}

/* ---- the parts, and their order ---- */

static void optimize(larder_cache *cache)
{
    larder_optimize_report freed;
    must(larder_cache_optimize(cache, 0, &freed), "larder_cache_optimize");
    puts("== optimize");
    printf("   %" PRIu64 " bytes freed, %" PRIu64 " items expired, %" PRIu64 " items moved, %" PRIu64 " pages freed\n",
           freed.bytes_freed, freed.items_expired, freed.items_moved, freed.pages_freed);
}

static void lower_limit(larder_cache *cache)
{
    must(larder_cache_set_memory_limit(cache, LOWER_LIMIT), "larder_cache_set_memory_limit");
    printf("== the limit is now %zu bytes\n", larder_cache_memory_limit(cache));
}

static void start_monitor(larder_monitor *monitor, larder_cache *cache, uint64_t interval_ms)
{
    larder_monitor_config config;
    must(larder_monitor_config_init(&config, sizeof config), "larder_monitor_config_init");
    config.interval_ms = interval_ms;
    config.on_report = on_monitor_report;
    must(larder_monitor_init(monitor, cache, &config), "larder_monitor_init");
    must(larder_monitor_start(monitor), "larder_monitor_start");
}

static void run(uint64_t interval_ms)
{
    static larder_monitor monitor;
    void *region = region_new(REGION_SIZE);
    larder_cache *cache;
    must(larder_cache_init(region, REGION_SIZE, NULL, &cache), "larder_cache_init");
    start_monitor(&monitor, cache, interval_ms);

    set_texts(cache, 0);
    check_texts(cache, TEXT_ITEMS);
    optimize(cache);
    print_statistics("statistics", cache, &monitor);
    lower_limit(cache);
    set_texts(cache, TEXT_ITEMS);
    run_mixed(cache);
    check_texts(cache, 2 * TEXT_ITEMS);

    must(larder_monitor_stop(&monitor), "larder_monitor_stop");
    must(larder_cache_check(cache), "larder_cache_check");
    print_statistics("final statistics", cache, &monitor);
    free(region);
}

static uint64_t parse_interval(int argc, char **argv)
{
    static const struct option known[] = {
        { "interval", required_argument, NULL, 'i' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    static const char usage[] = "usage: demo [--interval MS]    the monitor's interval, 1 to 60000 (default 500)\n";
    uint64_t interval_ms = 500;
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        }
        if (option == 'i' && parse_size(optarg, 1, 60000, &interval_ms))
            continue;
        if (option == 'i')
            fprintf(stderr, "demo: --interval does not take '%s'\n", optarg);
        fputs(usage, stderr);
        exit(EXIT_USAGE);
    }
    if (optind < argc) {
        fprintf(stderr, "demo: '%s' is one too many\n%s", argv[optind], usage);
        exit(EXIT_USAGE);
    }
    return interval_ms;
}

int main(int argc, char **argv)
{
    uint64_t interval_ms = parse_interval(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines come live through a pipe too */
    run(interval_ms);
    return EXIT_SUCCESS;
}
