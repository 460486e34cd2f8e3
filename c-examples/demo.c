/* demo.c: a cache of 10 MiB at work, and a monitor that watches it in its own thread.
 *
 * Build:  cc -std=c11 c-examples/demo.c -Iinclude target/lib/liblarder.a -lpthread -lm
 * Usage:  demo [--interval MS] [--format FORMAT]
 *         the monitor's interval, 500 ms by default; the final statistics in all detail: text, json or prometheus
 *
 * The parts: 1,000 items with a TTL of an hour; optimize; more values than fit, so that items are evicted; the monitor
 * reacts to the pressure; 2,000 items expire; the limit is lowered to 5 MiB while 1,000 more items are set. Every hit
 * is compared with the value set: exit code 1 if it differs, or if a promise does not hold. A run takes about three
 * seconds, more with a longer interval. All numbers are the library's.
 *
 * Prints a sentence for each part, tables with a row like this, and a line for each of the monitor's checks:
 *      items    payload   overhead       free      usage      limit pressure  evicted  expired
 *          N          N          N          N          N          N       N%        N        N
 *    monitor: usage N of N bytes, N%; optimized at N%, N bytes freed
 */
#define _POSIX_C_SOURCE 200809L

#include "example.h"
#include "zipf.h"

#define REGION_SIZE (UINT32_C(10) << 20)
#define LOWER_LIMIT (UINT32_C(5) << 20)
#define TEXT_ITEMS 1000
#define TEXT_TTL_MS (UINT64_C(60) * 60 * 1000)
#define TEXT_SIZE_MAX 512
#define ROW_EVERY 100
#define MIXED_KEYS 50000
#define MIXED_ROUNDS 8
#define MIXED_REQUESTS 10000
#define MIXED_SIZE_MAX 4096
#define SHORT_ITEMS 2000
#define SHORT_TTL_MS 300
#define SHORT_SIZE 200
#define FORMAT_NONE UINT32_MAX

static void sleep_ms(long ms)
{
    struct timespec rest = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    nanosleep(&rest, NULL);
}

/* ---- what is printed ---- */

static const char terms[] =
    "   payload    bytes of keys and values\n"
    "   overhead   bytes that the library needs beside them: headers, index, rounding, tables\n"
    "   free       bytes that hold neither; payload + overhead + free is the region, at any moment\n"
    "   usage      bytes taken: what the limit is about\n"
    "   pressure   usage in percent of the limit\n"
    "   evicted    items that were taken out to make room\n"
    "   expired    items that were taken out because their time to live (TTL) had passed\n";

static larder_cache_stats_t checked_stats(const larder_cache *cache)
{
    larder_cache_stats_t stats = stats_of(cache);
    require(stats.payload_bytes + stats.overhead_bytes + stats.free_bytes == stats.region_bytes,
            "payload + overhead + free is the region");
    return stats;
}

static void print_heading(void)
{
    printf("%8s %10s %10s %10s %10s %10s %8s %8s %8s\n", "items", "payload", "overhead", "free", "usage", "limit",
           "pressure", "evicted", "expired");
}

static larder_cache_stats_t print_row(const larder_cache *cache)
{
    larder_cache_stats_t stats = checked_stats(cache);
    printf("%8" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %7" PRIu32 "%% %8" PRIu64
           " %8" PRIu64 "\n",
           stats.item_count, stats.payload_bytes, stats.overhead_bytes, stats.free_bytes, stats.total_used,
           stats.limit_bytes, stats.memory_pressure, stats.evictions, stats.expirations);
    return stats;
}

/* Runs in the monitor's thread. It must not call the watched cache: the call would be LARDER_BUSY. Usage is from after
 * the check, pressure_percent from before it. So they are printed together only if the check did nothing. */
static void on_monitor_report(void *ctx, const larder_monitor_report *report)
{
    (void)ctx;
    char done[96] = "";
    if (report->optimized != 0)
        snprintf(done, sizeof done, "; optimized at %" PRIu32 "%%, %" PRIu64 " bytes freed", report->pressure_percent,
                 report->bytes_freed);
    else if (report->bytes_freed != 0)
        snprintf(done, sizeof done, "; took out what had expired, %" PRIu64 " bytes freed", report->bytes_freed);
    printf("monitor: usage %" PRIu64 " of %" PRIu64 " bytes, %" PRIu64 "%%%s\n", report->usage, report->limit,
           report->usage * 100 / report->limit, done);
}

static larder_monitor_stats_t watch_of(const larder_monitor *monitor)
{
    larder_monitor_stats_t watch;
    must(larder_monitor_stats(monitor, &watch), "larder_monitor_stats");
    return watch;
}

/* Waits for one more whole check: a check under way may have started before the present state. */
static void wait_for_check(const larder_monitor *monitor)
{
    uint64_t seen = watch_of(monitor).checks_performed;
    while (watch_of(monitor).checks_performed < seen + 2)
        sleep_ms(5);
}

static void print_statistics(const larder_cache *cache, const larder_monitor *monitor)
{
    larder_cache_stats_t stats = checked_stats(cache);
    larder_monitor_stats_t watch = watch_of(monitor);
    printf("   items          %" PRIu64 "\n", stats.item_count);
    printf("   usage          %" PRIu64 " of %" PRIu64 " bytes, at most %" PRIu64 " so far\n", stats.total_used,
           stats.limit_bytes, stats.peak_used);
    printf("   pressure       %" PRIu32 "%%, at most %" PRIu32 "%% when the monitor looked\n", stats.memory_pressure,
           watch.peak_pressure);
    printf("   hits, misses   %" PRIu64 ", %" PRIu64 "\n", stats.hits, stats.misses);
    printf("   evicted        %" PRIu64 ", expired %" PRIu64 "\n", stats.evictions, stats.expirations);
    printf("   pool reuses    %" PRIu64 " pieces of memory that were used before\n", stats.pool_reuses);
    printf("   arena allocs   %" PRIu64 " pieces cut from the region\n", stats.arena_allocs);
    printf("   reclaim passes %" PRIu64 " optimizations that came to their end\n", stats.reclaim_passes);
    printf("   monitor        %" PRIu64 " checks, %" PRIu64 " optimizations, %" PRIu64 " bytes freed\n",
           watch.checks_performed, watch.optimizations, watch.memory_freed);
    if (watch.checks_performed == 0)
        return;
    printf("   peaks          %" PRIu32 "%% of the limit, %" PRIu64 " bytes taken\n", watch.peak_pressure,
           watch.peak_usage);
    printf("   a second       %" PRIu64 " hits, %" PRIu64 " misses, %" PRIu64 " evictions, %" PRIu64
           " expirations, in the last %d checks\n",
           watch.hits_milli / 1000, watch.misses_milli / 1000, watch.evictions_milli / 1000,
           watch.expirations_milli / 1000, LARDER_MONITOR_HISTORY);
}

/* All that the library knows of the cache, as it prints it itself. */
static void print_in_format(const larder_cache *cache, uint32_t format)
{
    static char text[LARDER_STATS_PRINT_MAX];
    size_t len;
    must(larder_cache_stats_print(cache, format, text, sizeof text, &len), "larder_cache_stats_print");
    require(len == strlen(text), "the length is that of the text");
    fputs(text, stdout);
}

/* ---- text items with a TTL of an hour ---- */

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
    for (int i = 0; i < TEXT_ITEMS; i++) {
        size_t key_len = make_text_key(first + i, key);
        make_text(first + i, text);
        must(larder_cache_set_str(cache, key, key_len, text, TEXT_TTL_MS), "larder_cache_set_str");
        if ((i + 1) % ROW_EVERY == 0)
            print_row(cache);
    }
}

/* A miss is no error: a cache may evict. A hit must return the value set. */
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

/* ---- mixed items: 16 to 4,096 bytes, more than fit ---- */

static void make_mixed(uint32_t id, unsigned char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        value[i] = (unsigned char)(id * 31 + i);
}

/* As in a read-through cache: gets a value, and on a miss makes and sets it. */
static void get_or_set_mixed(larder_cache *cache, uint32_t id)
{
    unsigned char expected[MIXED_SIZE_MAX], value[MIXED_SIZE_MAX];
    char key[24];
    size_t key_len = (size_t)snprintf(key, sizeof key, "mixed_%" PRIu32, id);
    size_t size = size_of_key(id), len;
    make_mixed(id, expected, size);
    larder_status status = larder_cache_get(cache, key, key_len, value, sizeof value, &len);
    if (status == LARDER_NOT_FOUND) {
        must(larder_cache_set(cache, key, key_len, expected, size, LARDER_TTL_NEVER), "larder_cache_set");
        return;
    }
    must(status, "larder_cache_get");
    require(len == size && memcmp(value, expected, size) == 0, "a hit is what was set");
}

/* ---- the parts ---- */

static void show_items(larder_cache *cache)
{
    printf("\n== Items: %d texts are set, each with a TTL of an hour, and all are read again.\n", TEXT_ITEMS);
    print_heading();
    set_texts(cache, 0);
    check_texts(cache, TEXT_ITEMS);
}

static void show_optimize(larder_cache *cache)
{
    larder_optimize_report freed;
    puts("\n== Optimize: expired items are taken out, and pages with little in them are emptied into others.");
    must(larder_cache_optimize(cache, 0, &freed), "larder_cache_optimize");
    printf("   %" PRIu64 " bytes freed, %" PRIu64 " items expired, %" PRIu64 " items moved, %" PRIu64 " pages freed\n",
           freed.bytes_freed, freed.items_expired, freed.items_moved, freed.pages_freed);
}

static void show_eviction(larder_cache *cache)
{
    struct zipf zipf;
    uint64_t random = 1;
    larder_cache_stats_t stats = stats_of(cache);
    puts("\n== Eviction: values of 16 to 4,096 bytes are asked for, more than fit, and set where they are missing.\n"
         "   Once the limit is reached, every set takes out the items that are least likely to be asked for again.");
    print_heading();
    zipf_init(&zipf, MIXED_KEYS, 0.99);
    for (int round = 0; round < MIXED_ROUNDS; round++) {
        for (int i = 0; i < MIXED_REQUESTS; i++)
            get_or_set_mixed(cache, zipf_next(&zipf, &random));
        stats = print_row(cache);
        require(stats.total_used <= stats.limit_bytes, "usage is at most the limit");
    }
    zipf_free(&zipf);
    require(stats.evictions > 0, "more than fits means evictions");
    printf("   hit ratio so far: %.1f%%\n", 100 * ratio((double)stats.hits, (double)(stats.hits + stats.misses)));
}

static void show_pressure(const larder_cache *cache, const larder_monitor *monitor)
{
    uint64_t before = watch_of(monitor).optimizations;
    puts("\n== Pressure: the cache is nearly full, and above 80% the monitor optimizes at each of its checks.");
    wait_for_check(monitor);
    require(watch_of(monitor).optimizations > before, "the monitor answers pressure");
    print_heading();
    print_row(cache);
}

static void show_expiry(larder_cache *cache, const larder_monitor *monitor)
{
    char key[24], value[SHORT_SIZE] = "";
    printf("\n== Expiry: %d items are set with a TTL of %d ms; after that none of them is returned,\n"
           "   and the monitor's next check takes them out. Their memory is free for others then.\n",
           SHORT_ITEMS, SHORT_TTL_MS);
    print_heading();
    for (int i = 0; i < SHORT_ITEMS; i++) {
        size_t key_len = (size_t)snprintf(key, sizeof key, "short_%d", i);
        must(larder_cache_set(cache, key, key_len, value, sizeof value, SHORT_TTL_MS), "larder_cache_set");
    }
    print_row(cache);
    sleep_ms(SHORT_TTL_MS + 100);
    wait_for_check(monitor);
    for (int i = 0; i < SHORT_ITEMS; i++) {
        size_t key_len = (size_t)snprintf(key, sizeof key, "short_%d", i), len;
        larder_status status = larder_cache_get(cache, key, key_len, value, sizeof value, &len);
        require(status == LARDER_NOT_FOUND, "an expired item is never returned");
    }
    require(print_row(cache).expirations > 0, "expired items are counted");
}

static void show_limit(larder_cache *cache, const larder_monitor *monitor)
{
    printf("\n== Limit: it drops to 5 MiB while more is in use, and another %d texts are set. "
           "No call waits for the rest:\n"
           "   each set evicts up to eight items, optimize all of them, and usage never rises meanwhile.\n",
           TEXT_ITEMS);
    print_heading();
    uint64_t before = print_row(cache).total_used;
    must(larder_cache_set_memory_limit(cache, LOWER_LIMIT), "larder_cache_set_memory_limit");
    require(larder_cache_memory_limit(cache) == LOWER_LIMIT, "the limit is the new one");
    require(print_row(cache).total_used <= before, "usage does not rise");
    set_texts(cache, TEXT_ITEMS);
    wait_for_check(monitor);
    larder_cache_stats_t stats = print_row(cache);
    require(stats.total_used <= stats.limit_bytes, "usage is at most the lower limit");
    check_texts(cache, 2 * TEXT_ITEMS);
}

/* ---- the run ---- */

static void start_monitor(larder_monitor *monitor, larder_cache *cache, uint64_t interval_ms)
{
    larder_monitor_config config = LARDER_MONITOR_CONFIG_INIT;
    config.interval_ms = interval_ms;
    config.on_report = on_monitor_report;
    must(larder_monitor_init(monitor, cache, &config), "larder_monitor_init");
    must(larder_monitor_start(monitor), "larder_monitor_start");
}

static void run(uint64_t interval_ms, uint32_t format)
{
    static larder_monitor monitor;
    void *region = region_new(REGION_SIZE);
    larder_cache *cache;
    must(larder_cache_init(region, REGION_SIZE, NULL, &cache), "larder_cache_init");
    printf("A cache in a region of 10 MiB. A monitor checks it every %" PRIu64 " ms, in a thread of its own.\n%s",
           interval_ms, terms);
    start_monitor(&monitor, cache, interval_ms);

    show_items(cache);
    show_optimize(cache);
    puts("\n== Statistics so far:");
    print_statistics(cache, &monitor);
    show_eviction(cache);
    show_pressure(cache, &monitor);
    show_expiry(cache, &monitor);
    show_limit(cache, &monitor);

    must(larder_monitor_stop(&monitor), "larder_monitor_stop");
    must(larder_cache_check(cache), "larder_cache_check");
    puts("\n== The monitor is stopped, and every invariant of the cache is checked. Final statistics:");
    print_statistics(cache, &monitor);
    if (format != FORMAT_NONE)
        print_in_format(cache, format);
    free(region);
}

static uint32_t format_of(const char *name)
{
    static const char *const names[] = { "text", "json", "prometheus" }; /* in the order of LARDER_FORMAT_.. */
    if (name == NULL)
        return FORMAT_NONE;
    for (uint32_t i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    fprintf(stderr, "--format takes text, json or prometheus, not '%s'\n", name);
    exit(EXIT_USAGE);
}

int main(int argc, char **argv)
{
    uint64_t interval_ms = 500;
    const char *format = NULL;
    const struct program_option options[] = { { "interval", &interval_ms, 1, 60000, NULL },
                                              { "format", NULL, 0, 0, &format } };
    read_arguments(argc, argv,
                   "usage: demo [--interval MS] [--format FORMAT]\n"
                   "\n"
                   "Shows items, eviction, pressure, expiry, a limit that drops, and the monitor at work.\n"
                   "\n"
                   "  --interval MS    the monitor's interval, 1 to 60000 (default 500)\n"
                   "  --format FORMAT  the final statistics also as text, json or prometheus: all of them\n",
                   options, 2, NULL);
    uint32_t format_number = format_of(format);
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines come live through a pipe too */
    run(interval_ms, format_number);
    return EXIT_SUCCESS;
}
