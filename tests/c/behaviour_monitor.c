/* behaviour_monitor.c: the monitor checks when its interval has passed, optimizes above its high watermark, keeps
 * a history with rates and peaks, and runs on a thread of its own where the host has threads. */
#define _POSIX_C_SOURCE 200809L

#include "check.h"

#include <time.h>

enum { REGION_SIZE = 256 * 1024, MEBIBYTE = 1024 * 1024 };
enum { HOUR_MS = 3600 * 1000, SAMPLE_COUNT_MAX = 256, PATIENCE_MS = 20 * 1000 };

static larder_monitor_config monitor_config_default(void)
{
    larder_monitor_config config;
    CHECK_STATUS(larder_monitor_config_init(&config, sizeof config), LARDER_OK);
    return config;
}

static larder_monitor_stats_t stats_of_monitor(const larder_monitor *monitor)
{
    larder_monitor_stats_t stats;
    memset(&stats, 0, sizeof stats);
    CHECK_STATUS(larder_monitor_stats(monitor, &stats), LARDER_OK);
    return stats;
}

struct reports {
    uint64_t count, optimized, bytes_freed;
    larder_monitor_report last;
};

static void note_report(void *ctx, const larder_monitor_report *report)
{
    struct reports *reports = (struct reports *)ctx;
    reports->count++;
    reports->optimized += report->optimized;
    reports->bytes_freed += report->bytes_freed;
    reports->last = *report;
}

static void poll_checks_when_the_interval_has_passed(void)
{
    struct region region = region_new(REGION_SIZE);
    uint64_t now_ms = 100 * 1000;
    larder_cache_config cache_config = config_with_clock(&now_ms);
    larder_cache *cache = cache_new(&region, &cache_config);
    larder_monitor_config config = monitor_config_default();
    struct reports reports;
    larder_monitor monitor;
    memset(&reports, 0, sizeof reports);
    CHECK(config.interval_ms > 0 && config.high_percent == 80 && config.low_percent <= 80);
    config.interval_ms = 1000;
    config.on_report = note_report;
    config.report_ctx = &reports;
    CHECK_STATUS(larder_monitor_init(&monitor, cache, &config), LARDER_OK);
    CHECK(stats_of_monitor(&monitor).checks_performed == 0 && stats_of_monitor(&monitor).running == 0);

    CHECK_STATUS(larder_monitor_poll(&monitor, now_ms), LARDER_OK);
    uint64_t checks = stats_of_monitor(&monitor).checks_performed;
    CHECK(checks <= 1);
    static const struct {
        uint64_t step_ms, new_interval_ms;
        int checks;
    } ticks[] = {{999, 0, 0}, {1, 0, 1},     {500, 0, 0}, {499, 0, 0}, {1, 0, 1},   {7000, 0, 1},
                 {0, 0, 0},   {100, 100, 1}, {99, 0, 0},  {1, 0, 1},   {100, 5000, 0}, {4899, 0, 0},
                 {1, 0, 1}};
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
        if (ticks[i].new_interval_ms)
            CHECK_STATUS(larder_monitor_set_interval(&monitor, ticks[i].new_interval_ms), LARDER_OK);
        now_ms += ticks[i].step_ms;
        CHECK_STATUS(larder_monitor_poll(&monitor, now_ms), LARDER_OK);
        checks += (uint64_t)ticks[i].checks;
        larder_monitor_stats_t stats = stats_of_monitor(&monitor);
        CHECK(stats.checks_performed == checks);
        CHECK(!ticks[i].checks || stats.last_check_ms == now_ms);
        CHECK(reports.count == checks);
    }
    CHECK(reports.last.now_ms == now_ms);
    CHECK(reports.last.usage == larder_cache_memory_usage(cache));
    CHECK(reports.last.limit == larder_cache_memory_limit(cache));
    CHECK(reports.last.pressure_percent < 80);
    CHECK(reports.optimized == 0);
    CHECK(stats_of_monitor(&monitor).optimizations == 0 && stats_of_monitor(&monitor).memory_freed == 0);

    /* a clock that steps back does not end the checks */
    now_ms -= 50 * 1000;
    CHECK_STATUS(larder_monitor_poll(&monitor, now_ms), LARDER_OK);
    now_ms += 5000;
    CHECK_STATUS(larder_monitor_poll(&monitor, now_ms), LARDER_OK);
    now_ms += 5000;
    CHECK_STATUS(larder_monitor_poll(&monitor, now_ms), LARDER_OK);
    CHECK(stats_of_monitor(&monitor).checks_performed > checks);
    check_cache(cache, &region);
    region_free(&region);
}

/* Above the high watermark a check optimizes by bounded steps, so several checks may be necessary. */
static void pressure_makes_it_optimize(void)
{
    struct region region = region_new(REGION_SIZE);
    unsigned char value[100] = {0};
    uint64_t now_ms = 100 * 1000;
    larder_cache_config cache_config = config_with_clock(&now_ms);
    larder_cache *cache = cache_new(&region, &cache_config);
    larder_monitor_config config = monitor_config_default();
    struct reports reports;
    larder_monitor monitor;
    memset(&reports, 0, sizeof reports);
    config.interval_ms = 1000;
    config.on_report = note_report;
    config.report_ctx = &reports;
    CHECK_STATUS(larder_monitor_init(&monitor, cache, &config), LARDER_OK);
    for (uint64_t key = 0; stats_of(cache).evictions == 0 && key < 100000; key++)
        CHECK_STATUS(larder_cache_set(cache, &key, sizeof key, value, sizeof value, HOUR_MS), LARDER_OK);
    uint32_t pressure = stats_of(cache).memory_pressure;
    size_t usage = larder_cache_memory_usage(cache);
    CHECK(pressure > 80);

    now_ms += 2 * HOUR_MS;
    for (int i = 0; i < 10000 && stats_of(cache).memory_pressure > 70; i++) {
        larder_status status = larder_monitor_poll(&monitor, now_ms);
        CHECK(status == LARDER_OK || status == LARDER_AGAIN);
        CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
        now_ms += 1000;
    }
    larder_monitor_stats_t stats = stats_of_monitor(&monitor);
    CHECK(larder_cache_memory_usage(cache) < usage);
    CHECK(stats.optimizations > 0 && stats.optimizations <= stats.checks_performed);
    CHECK(stats.memory_freed > 0 && stats.peak_pressure >= 80 && stats.peak_pressure <= 100);
    CHECK(reports.count == stats.checks_performed);
    CHECK(reports.optimized == stats.optimizations);
    CHECK(reports.bytes_freed == stats.memory_freed);
    check_cache(cache, &region);

    /* at low pressure a check does not optimize */
    CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_OK);
    uint64_t optimizations = 0;
    for (int i = 0; i < 10; i++) {
        now_ms += 1000;
        CHECK_STATUS(larder_monitor_poll(&monitor, now_ms), LARDER_OK);
        if (i == 1)
            optimizations = stats_of_monitor(&monitor).optimizations;
    }
    CHECK(stats_of_monitor(&monitor).optimizations == optimizations);
    check_cache(cache, &region);
    region_free(&region);
}

static void history_keeps_samples(void)
{
    struct region region = region_new(REGION_SIZE);
    uint64_t now_ms = 100 * 1000, first_ms = now_ms;
    larder_cache_config cache_config = config_with_clock(&now_ms);
    larder_cache *cache = cache_new(&region, &cache_config);
    larder_monitor_config config = monitor_config_default();
    larder_monitor_sample samples[SAMPLE_COUNT_MAX];
    larder_monitor monitor;
    uint32_t count = 77;
    config.interval_ms = 10;
    CHECK_STATUS(larder_monitor_init(&monitor, cache, &config), LARDER_OK);
    CHECK_STATUS(larder_monitor_history(&monitor, samples, SAMPLE_COUNT_MAX, &count), LARDER_OK);
    CHECK(count == 0);
    for (int i = 0; i < 300; i++) {
        now_ms += 10;
        CHECK_STATUS(larder_cache_set(cache, &i, sizeof i, &i, sizeof i, 0), LARDER_OK);
        CHECK_STATUS(larder_monitor_poll(&monitor, now_ms), LARDER_OK);
        if (i == 0)
            continue; /* the first poll may only read the clock */
        memset(samples, DIRT_BYTE, sizeof samples);
        CHECK_STATUS(larder_monitor_history(&monitor, samples, SAMPLE_COUNT_MAX, &count), LARDER_OK);
        if (!CHECK(count > 0 && count <= SAMPLE_COUNT_MAX))
            break;
        int is_latest_there = 0;
        for (uint32_t s = 0; s < count; s++) {
            CHECK(samples[s].time_ms > first_ms && samples[s].time_ms <= now_ms);
            CHECK(samples[s].limit == REGION_SIZE && samples[s].usage > 0 && samples[s].usage <= REGION_SIZE);
            is_latest_there |= samples[s].time_ms == now_ms;
        }
        CHECK(is_latest_there);
        CHECK(all_bytes_are(samples + count, (SAMPLE_COUNT_MAX - count) * sizeof samples[0], DIRT_BYTE));
    }
    memset(samples, DIRT_BYTE, sizeof samples);
    CHECK_STATUS(larder_monitor_history(&monitor, samples, 2, &count), LARDER_OK);
    CHECK(count == 2);
    CHECK(all_bytes_are(samples + 2, sizeof samples - 2 * sizeof samples[0], DIRT_BYTE));
    CHECK(samples[0].time_ms == now_ms - 10 && samples[1].time_ms == now_ms); /* the newest, the older one first */
    CHECK_STATUS(larder_monitor_history(&monitor, samples, LARDER_MONITOR_HISTORY, &count), LARDER_OK);
    CHECK(count == LARDER_MONITOR_HISTORY && samples[0].time_ms == now_ms - 10 * (LARDER_MONITOR_HISTORY - 1));
    count = 77;
    CHECK_STATUS(larder_monitor_history(&monitor, NULL, 0, &count), LARDER_OK);
    CHECK(count == 0);
    region_free(&region);
}

/* A hundred reads and two sets of items with a short TTL between two checks that are two seconds apart. */
static void rates_and_peaks_are_seen(void)
{
    struct region region = region_new(REGION_SIZE);
    uint64_t now_ms = 100 * 1000;
    unsigned char value[100] = {0};
    larder_cache_config cache_config = config_with_clock(&now_ms);
    larder_cache *cache = cache_new(&region, &cache_config);
    larder_monitor_config config = monitor_config_default();
    larder_monitor_sample sample;
    struct reports reports;
    larder_monitor monitor;
    uint32_t count;
    size_t len;
    memset(&reports, 0, sizeof reports);
    config.on_report = note_report;
    config.report_ctx = &reports;
    CHECK_STATUS(larder_monitor_init(&monitor, cache, &config), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "key", 3, value, sizeof value, HOUR_MS), LARDER_OK);
    CHECK_STATUS(larder_cache_get(cache, "key", 3, value, sizeof value, &len), LARDER_OK);
    CHECK_STATUS(larder_monitor_poll(&monitor, now_ms), LARDER_OK);
    CHECK(stats_of_monitor(&monitor).hits_milli == 0 && reports.last.hits_milli == 0);

    CHECK_STATUS(larder_cache_set(cache, "a", 1, value, sizeof value, 500), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "b", 1, value, sizeof value, 500), LARDER_OK);
    size_t usage = larder_cache_memory_usage(cache);
    for (int i = 0; i < 75; i++)
        CHECK_STATUS(larder_cache_get(cache, "key", 3, value, sizeof value, &len), LARDER_OK);
    for (int i = 0; i < 25; i++)
        CHECK_STATUS(larder_cache_get(cache, "none", 4, value, sizeof value, &len), LARDER_NOT_FOUND);
    now_ms += 2000;
    CHECK_STATUS(larder_monitor_poll(&monitor, now_ms), LARDER_OK);
    larder_monitor_stats_t stats = stats_of_monitor(&monitor);
    CHECK(stats.hits_milli == 37500 && stats.misses_milli == 12500);
    CHECK(stats.evictions_milli == 0 && stats.expirations_milli == 1000);
    CHECK(reports.last.hits_milli == 37500 && reports.last.misses_milli == 12500);
    CHECK(reports.last.evictions_milli == 0 && reports.last.expirations_milli == 1000);
    CHECK(stats.peak_usage == usage && stats.peak_usage_ms == now_ms);
    CHECK(stats.peak_pressure == usage * 100 / REGION_SIZE && stats.peak_pressure_ms <= now_ms);
    CHECK_STATUS(larder_monitor_history(&monitor, &sample, 1, &count), LARDER_OK);
    CHECK(count == 1 && sample.time_ms == now_ms && sample.usage == larder_cache_memory_usage(cache));
    CHECK(sample.hits == 75 && sample.misses == 25 && sample.evictions == 0 && sample.expirations == 2);
    check_cache(cache, &region);
    region_free(&region);
}

/* Twice as many keys as fit, asked for in turn of chance: a MiB more would bring hits. */
static void a_report_carries_the_value_of_memory(void)
{
    struct region region = region_new(MEBIBYTE);
    uint64_t now_ms = 100 * 1000, random = 1;
    unsigned char value[100] = {0};
    larder_cache_config cache_config = config_with_clock(&now_ms);
    cache_config.shards = 1;
    larder_cache *cache = cache_new(&region, &cache_config);
    larder_monitor_config config = monitor_config_default();
    larder_advice advice = LARDER_ADVICE_INIT;
    struct reports reports;
    larder_monitor monitor;
    size_t len;
    memset(&reports, 0, sizeof reports);
    config.on_report = note_report;
    config.report_ctx = &reports;
    CHECK_STATUS(larder_monitor_init(&monitor, cache, &config), LARDER_OK);
    CHECK_STATUS(larder_monitor_poll(&monitor, now_ms), LARDER_OK);
    CHECK(reports.count == 1 && reports.last.gained_milli == 0 && reports.last.lost_milli == 0); /* nothing known yet */
    for (int i = 0; i < 100 * 1000; i++) {
        uint64_t key = next_random(&random) % 14000;
        now_ms += i % 10 == 0;
        if (larder_cache_get(cache, &key, sizeof key, value, sizeof value, &len) == LARDER_NOT_FOUND)
            CHECK_STATUS(larder_cache_set(cache, &key, sizeof key, value, sizeof value, HOUR_MS), LARDER_OK);
    }
    CHECK_STATUS(larder_cache_advise(cache, &advice), LARDER_OK);
    CHECK_STATUS(larder_monitor_poll(&monitor, now_ms), LARDER_OK);
    CHECK(reports.count == 2 && reports.last.gained_milli > 0 && reports.last.lost_milli > 0);
    CHECK(reports.last.gained_milli == advice.gained_milli && reports.last.lost_milli == advice.lost_milli);
    check_cache(cache, &region);
    region_free(&region);
}

/* ---- the thread ---- */

static uint64_t real_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* Waits for a limited time until the thread has made this many checks. */
static void await_checks(const larder_monitor *monitor, uint64_t checks)
{
    uint64_t from_ms = real_ms();
    while (stats_of_monitor(monitor).checks_performed < checks && real_ms() - from_ms < PATIENCE_MS)
        sleep_ms(2);
    CHECK(stats_of_monitor(monitor).checks_performed >= checks);
}

static void thread_starts_and_stops(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    larder_monitor_config config = monitor_config_default();
    larder_monitor monitor;
    config.interval_ms = 2;
    CHECK_STATUS(larder_monitor_init(&monitor, cache, &config), LARDER_OK);
    CHECK_STATUS(larder_monitor_stop(&monitor), LARDER_OK);

    uint64_t key = 0;
    for (int round = 0; round < 3; round++) {
        uint64_t checks = stats_of_monitor(&monitor).checks_performed;
        CHECK_STATUS(larder_monitor_start(&monitor), LARDER_OK);
        CHECK_STATUS(larder_monitor_start(&monitor), LARDER_BUSY);
        CHECK(stats_of_monitor(&monitor).running == 1);
        for (int i = 0; i < check_rounds(20000, 2000); i++, key++)
            CHECK_STATUS(larder_cache_set(cache, &key, sizeof key, &key, sizeof key, 0), LARDER_OK);
        await_checks(&monitor, checks + 3);
        CHECK_STATUS(larder_monitor_stop(&monitor), LARDER_OK);
        CHECK(stats_of_monitor(&monitor).running == 0);
        checks = stats_of_monitor(&monitor).checks_performed;
        CHECK_STATUS(larder_monitor_stop(&monitor), LARDER_OK);
        sleep_ms(30);
        CHECK(stats_of_monitor(&monitor).checks_performed == checks);
        check_cache(cache, &region);
    }
    region_free(&region);
}

/* A thread that waits for an hour reacts at once to a new interval and to a stop. */
static void thread_hears_of_a_new_interval(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    larder_monitor_config config = monitor_config_default();
    larder_monitor monitor;
    config.interval_ms = HOUR_MS;
    CHECK_STATUS(larder_monitor_init(&monitor, cache, &config), LARDER_OK);
    CHECK_STATUS(larder_monitor_start(&monitor), LARDER_OK);
    sleep_ms(20);
    CHECK(stats_of_monitor(&monitor).checks_performed <= 1);
    CHECK_STATUS(larder_monitor_set_interval(&monitor, 2), LARDER_OK);
    await_checks(&monitor, 3);
    CHECK_STATUS(larder_monitor_set_interval(&monitor, HOUR_MS), LARDER_OK);
    sleep_ms(20);
    uint64_t from_ms = real_ms();
    CHECK_STATUS(larder_monitor_stop(&monitor), LARDER_OK);
    CHECK(real_ms() - from_ms < PATIENCE_MS);
    check_cache(cache, &region);
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    poll_checks_when_the_interval_has_passed();
    pressure_makes_it_optimize();
    history_keeps_samples();
    rates_and_peaks_are_seen();
    a_report_carries_the_value_of_memory();
    thread_starts_and_stops();
    thread_hears_of_a_new_interval();
    return check_end("behaviour_monitor");
}
