/* threads.c: one cache of 16 MiB, used by several threads at once, while the monitor's thread watches it.
 *
 * Build:  cc -std=c11 c-examples/threads.c -Iinclude target/lib/liblarder.a -lpthread -lm
 * Usage:  threads [--threads N] [--seconds S] [--shards K] [--stats FILE]      2, 1 and 8 by default
 *
 * Each thread gets keys by Zipf's law, and on a miss makes the value and sets it. Every value read is checked: its
 * length is a function of its key, and all its words are equal and contain the key. During the run the limit is lowered
 * to a half and raised again. In the end the cache's counters must equal the threads'. Exit code 1 if anything differs.
 * Then one thread alone, and all of them, run for a short time to compare speeds. A run takes about S + 1 seconds.
 * With --stats, `larder-tool top FILE` shows the cache meanwhile.
 *
 * Prints, with N for what depends on the machine:
 *    == 2 threads, 8 shards, 1 s
 *    N.N s    N ops/s  hits  N%  pressure  N%        N / 16777216 bytes       four a second
 *    == the limit is now 8388608 bytes
 *    ..
 *    == counted by the threads and by the cache
 *       gets N = N hits + N misses, sets N
 *       N values read, each as it was set
 *       monitor: N checks, N optimizations, N bytes freed
 *    == speed
 *       1 thread N ops/s, 2 threads N ops/s: N.NN times as fast
 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* madvise */

#include "example.h"
#include "stats_file.h"
#include "zipf.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#define REGION_SIZE (UINT32_C(16) << 20)
#define KEYS 50000
#define VALUE_SIZE_MAX 4096 /* of size_of_key */
#define WORD sizeof(uint64_t)
#define DRAWS (UINT32_C(1) << 18)
#define THREADS_MAX 64
#define SHARDS_MAX 64
#define REPORT_INTERVAL_MS 250
#define MONITOR_INTERVAL_MS 100
#define WARM_UP_MS 100
#define MEASURE_MS 300

struct options {
    unsigned threads, seconds, shards;
    const char *stats; /* NULL: none */
};

struct traffic;

struct worker {
    pthread_t thread;
    const struct traffic *traffic;
    uint32_t number;
    uint64_t gets, hits, sets;
};

/* Keys are drawn before the threads start, so that only the cache is measured. All threads use the same draws, each
 * from another start. */
struct traffic {
    larder_cache *cache;
    uint32_t draws[DRAWS];
    unsigned threads;
    atomic_bool stop;
    struct worker workers[THREADS_MAX];
};

static void sleep_ms(long ms)
{
    struct timespec rest = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    nanosleep(&rest, NULL);
}

/* ---- values: all words are equal, and contain the key, the writing thread and the time ---- */

static void make_value(uint32_t id, uint32_t writing, uint64_t *words, size_t size)
{
    uint64_t tag = (uint64_t)id << 32 | writing;
    for (size_t i = 0; i < (size + WORD - 1) / WORD; i++)
        words[i] = tag;
}

/* A value with a part of another value, or of another time, is wrong, too. */
static bool value_is_right(uint32_t id, const uint64_t *words, size_t size)
{
    size_t count = size / WORD;
    uint64_t differences = 0;
    if (size != size_of_key(id) || words[0] >> 32 != id)
        return false;
    for (size_t i = 1; i < count; i++)
        differences |= words[i] ^ words[0];
    return differences == 0 && memcmp(words + count, words, size % WORD) == 0;
}

/* ---- threads ---- */

/* Returns whether it was a hit. */
static bool get_or_set(struct worker *worker, uint32_t id)
{
    larder_cache *cache = worker->traffic->cache;
    uint64_t words[VALUE_SIZE_MAX / WORD];
    size_t size;
    worker->gets++;
    larder_status status = larder_cache_get(cache, &id, sizeof id, words, sizeof words, &size);
    if (status == LARDER_OK) {
        require(value_is_right(id, words, size), "a hit is what was set");
        return true;
    }
    require(status == LARDER_NOT_FOUND, "a get finds its item or not");
    size = size_of_key(id);
    make_value(id, (uint32_t)worker->sets * THREADS_MAX + worker->number, words, size);
    must(larder_cache_set(cache, &id, sizeof id, words, size, LARDER_TTL_DEFAULT), "larder_cache_set");
    worker->sets++;
    return false;
}

static void *work(void *ctx)
{
    struct worker *worker = ctx;
    const struct traffic *traffic = worker->traffic;
    uint32_t at = DRAWS / traffic->threads * worker->number;
    for (; !atomic_load_explicit(&traffic->stop, memory_order_relaxed); at++)
        worker->hits += get_or_set(worker, traffic->draws[at % DRAWS]);
    return NULL;
}

static void traffic_start(struct traffic *traffic, larder_cache *cache, unsigned threads)
{
    traffic->cache = cache;
    traffic->threads = threads;
    atomic_store(&traffic->stop, false);
    for (unsigned i = 0; i < threads; i++) {
        struct worker *worker = &traffic->workers[i];
        *worker = (struct worker){ .traffic = traffic, .number = i };
        require(pthread_create(&worker->thread, NULL, work, worker) == 0, "the host gives a thread");
    }
}

static void traffic_stop(struct traffic *traffic)
{
    atomic_store(&traffic->stop, true);
    for (unsigned i = 0; i < traffic->threads; i++)
        pthread_join(traffic->workers[i].thread, NULL);
}

static void draw_keys(struct traffic *traffic)
{
    struct zipf zipf;
    uint64_t random = 1;
    zipf_init(&zipf, KEYS, 0.99);
    for (uint32_t i = 0; i < DRAWS; i++)
        traffic->draws[i] = zipf_next(&zipf, &random);
    zipf_free(&zipf);
}

/* ---- the run that is watched ---- */

static larder_cache_config config_of(unsigned shards)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.shards = shards;
    return config;
}

static larder_cache *cache_new(void *region, unsigned shards)
{
    larder_cache_config config = config_of(shards);
    larder_cache *cache;
    must(larder_cache_init(region, REGION_SIZE, &config, &cache), "larder_cache_init");
    return cache;
}

static void start_monitor(larder_monitor *monitor, larder_cache *cache)
{
    larder_monitor_config config = LARDER_MONITOR_CONFIG_INIT;
    config.interval_ms = MONITOR_INTERVAL_MS;
    must(larder_monitor_init(monitor, cache, &config), "larder_monitor_init");
    must(larder_monitor_start(monitor), "larder_monitor_start");
}

static uint64_t gets_of(const larder_cache_stats_t *stats)
{
    return stats->hits + stats->misses;
}

/* Prints the changes since the last report, while the threads continue. */
static void report(const larder_cache *cache, double started, double *since, larder_cache_stats_t *before)
{
    larder_cache_stats_t stats = stats_of(cache);
    double now = seconds_now();
    uint64_t gets = gets_of(&stats) - gets_of(before), sets = stats.sets - before->sets;
    printf("%5.2f s %9.0f ops/s  hits %5.1f%%  pressure %3" PRIu32 "%% %10" PRIu64 " / %8" PRIu64 " bytes\n",
           now - started, ratio((double)(gets + sets), now - *since),
           100 * ratio((double)(stats.hits - before->hits), (double)gets), stats.memory_pressure, stats.total_used,
           stats.limit_bytes);
    *since = now;
    *before = stats;
}

static void move_limit(larder_cache *cache, size_t limit)
{
    must(larder_cache_set_memory_limit(cache, limit), "larder_cache_set_memory_limit");
    printf("== the limit is now %zu bytes\n", larder_cache_memory_limit(cache));
}

/* A lowered limit is reached in slices. A whole pass of optimize reaches it, even while the threads store. */
static void check_lowered_limit(larder_cache *cache)
{
    must(larder_cache_optimize(cache, 0, NULL), "larder_cache_optimize");
    require(larder_cache_memory_usage(cache) <= larder_cache_memory_limit(cache), "a lowered limit is reached");
}

static struct stats_file *open_stats(const char *path)
{
    struct stats_file *file = path == NULL ? NULL : stats_file_open(path);
    if (path == NULL || file != NULL)
        return file;
    perror(path);
    exit(EXIT_FAILURE);
}

/* The limit is half the region in the second and third quarter. */
static void watch(larder_cache *cache, const struct options *options)
{
    const larder_cache_config config = config_of(options->shards);
    struct stats_file *file = open_stats(options->stats);
    larder_cache_stats_t before = stats_of(cache);
    double started = seconds_now(), since = started;
    for (unsigned quarter = 1; quarter <= 4; quarter++) {
        for (unsigned i = 0; i < options->seconds; i++) {
            sleep_ms(REPORT_INTERVAL_MS);
            report(cache, started, &since, &before);
            if (file != NULL)
                stats_file_write(file, cache, &config);
        }
        if (quarter == 1)
            move_limit(cache, REGION_SIZE / 2);
        if (quarter != 3)
            continue;
        check_lowered_limit(cache);
        move_limit(cache, REGION_SIZE);
    }
    if (file != NULL)
        stats_file_close(file);
}

/* All threads have ended: every number is exact. */
static void check_counters(const struct traffic *traffic)
{
    larder_cache_stats_t stats = stats_of(traffic->cache);
    uint64_t gets = 0, hits = 0, sets = 0;
    for (unsigned i = 0; i < traffic->threads; i++) {
        gets += traffic->workers[i].gets;
        hits += traffic->workers[i].hits;
        sets += traffic->workers[i].sets;
    }
    require(stats.hits == hits && gets_of(&stats) == gets, "the cache counts each get");
    require(stats.sets == sets, "the cache counts each set");
    require(stats.item_count == sets - stats.updates - stats.evictions, "every item is there or was evicted");
    require(stats.total_used <= stats.limit_bytes, "usage is at most the limit");
    require(stats.payload_bytes + stats.free_bytes + stats.overhead_bytes == stats.region_bytes,
            "payload + free + overhead is the region, to the byte");
    must(larder_cache_check(traffic->cache), "larder_cache_check");
    puts("== counted by the threads and by the cache");
    printf("   gets %" PRIu64 " = %" PRIu64 " hits + %" PRIu64 " misses, sets %" PRIu64 "\n", gets, stats.hits,
           stats.misses, stats.sets);
    printf("   %" PRIu64 " values read, each as it was set\n", hits);
}

static void run_watched(struct traffic *traffic, void *region, const struct options *options)
{
    static larder_monitor monitor;
    larder_monitor_stats_t seen;
    larder_cache *cache = cache_new(region, options->shards);
    printf("== %u threads, %u shards, %u s\n", options->threads, options->shards, options->seconds);
    start_monitor(&monitor, cache);
    traffic_start(traffic, cache, options->threads);
    watch(cache, options);
    traffic_stop(traffic);
    must(larder_monitor_stop(&monitor), "larder_monitor_stop");
    check_counters(traffic);
    must(larder_monitor_stats(&monitor, &seen), "larder_monitor_stats");
    printf("   monitor: %" PRIu64 " checks, %" PRIu64 " optimizations, %" PRIu64 " bytes freed\n",
           seen.checks_performed, seen.optimizations, seen.memory_freed);
}

/* ---- speed ---- */

/* Gets and sets per second, in a new cache after a short time to fill. */
static double measure(struct traffic *traffic, void *region, unsigned shards, unsigned threads)
{
    larder_cache *cache = cache_new(region, shards);
    traffic_start(traffic, cache, threads);
    sleep_ms(WARM_UP_MS);
    larder_cache_stats_t before = stats_of(cache);
    double started = seconds_now();
    sleep_ms(MEASURE_MS);
    larder_cache_stats_t after = stats_of(cache);
    double seconds = seconds_now() - started;
    traffic_stop(traffic);
    return ratio((double)(gets_of(&after) - gets_of(&before) + after.sets - before.sets), seconds);
}

/* Prints the speeds on this machine, and checks nothing. */
static void compare_speed(struct traffic *traffic, void *region, const struct options *options)
{
    double one = measure(traffic, region, options->shards, 1);
    printf("== speed\n   1 thread %.0f ops/s", one);
    if (options->threads > 1) {
        double all = measure(traffic, region, options->shards, options->threads);
        printf(", %u threads %.0f ops/s: %.2f times as fast", options->threads, all, ratio(all, one));
    }
    putchar('\n');
}

/* ---- the command line ---- */

static struct options parse_options(int argc, char **argv)
{
    uint64_t threads = 2, seconds = 1, shards = 8;
    const char *stats = NULL;
    const struct program_option known[] = {
        { "threads", &threads, 1, THREADS_MAX, NULL },
        { "seconds", &seconds, 1, 3600, NULL },
        { "shards", &shards, 1, SHARDS_MAX, NULL },
        { "stats", NULL, 0, 0, &stats },
    };
    read_arguments(argc, argv,
                   "usage: threads [--threads N] [--seconds S] [--shards K] [--stats FILE]\n"
                   "\n"
                   "Threads share a cache, check every value, and compare their counts with the cache's.\n"
                   "\n"
                   "  --threads N    threads that use the cache, 1 to 64 (default 2)\n"
                   "  --seconds S    length of the run, 1 to 3600 (default 1)\n"
                   "  --shards K     parts of the cache with a lock each, 1 to 64 (default 8)\n"
                   "  --stats FILE   offer statistics in a file, for larder-tool top\n",
                   known, 4, NULL);
    return (struct options){ (unsigned)threads, (unsigned)seconds, (unsigned)shards, stats };
}

/* A hint for systems with huge pages: a large cache then has fewer misses in the processor's table of pages. */
static void advise_huge_pages(void *region)
{
#ifdef MADV_HUGEPAGE
    const size_t page = 4096;
    char *start = (char *)(((uintptr_t)region + page - 1) & ~(uintptr_t)(page - 1));
    madvise(start, REGION_SIZE - page, MADV_HUGEPAGE);
#else
    (void)region;
#endif
}

int main(int argc, char **argv)
{
    static struct traffic traffic;
    struct options options = parse_options(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a pipe gets each line at once, too */
    void *region = region_new(REGION_SIZE);
    advise_huge_pages(region);
    draw_keys(&traffic);
    run_watched(&traffic, region, &options);
    compare_speed(&traffic, region, &options);
    free(region);
    return EXIT_SUCCESS;
}
