/* stress_callbacks.c: no call waits for a callback, even if the callback waits, and no event is lost. A monitor that
 * several threads start and stop has one thread at a time, which has ended when a stop returns. */
#define _POSIX_C_SOURCE 200809L

#include "check.h"

#include <pthread.h>
#include <time.h>

enum { REGION_SIZE = 64 * 1024, EVICTING = 2000, PATIENCE_S = 60 };

/* ---- a flag to wait for; a wait without end is a failure, not a hang ---- */

struct flag {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int is_up;
};

#define FLAG_DOWN {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}

static void flag_raise(struct flag *flag)
{
    pthread_mutex_lock(&flag->mutex);
    flag->is_up = 1;
    pthread_cond_broadcast(&flag->changed);
    pthread_mutex_unlock(&flag->mutex);
}

static int flag_await(struct flag *flag)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&flag->mutex);
    int in_time = 1;
    while (!flag->is_up && in_time)
        in_time = pthread_cond_timedwait(&flag->changed, &flag->mutex, &until) == 0;
    int is_up = flag->is_up;
    pthread_mutex_unlock(&flag->mutex);
    return is_up;
}

static void thread_begin(pthread_t *thread, void *(*run)(void *), void *ctx)
{
    if (pthread_create(thread, NULL, run, ctx) != 0) {
        fputs("the test program has no thread\n", stderr);
        exit(EXIT_FAILURE);
    }
}

static unsigned char value_bytes[400];

static larder_status set_number(larder_cache *cache, uint64_t key)
{
    return larder_cache_set(cache, &key, sizeof key, value_bytes, sizeof value_bytes, 0);
}

/* ---- events: one thread at a time receives them, so plain counters are enough ---- */

struct told {
    larder_cache *cache, *other;
    uint64_t evicted, refused, failures, next_key;
    struct flag inside, go_on;
    int blocks, was_in_time;
};

static void note_event(void *ctx, const larder_event *event)
{
    struct told *told = (struct told *)ctx;
    told->evicted += event->items;
    if (told->other) {
        larder_status status = set_number(told->other, UINT64_C(1) << 40 | told->next_key++ % 500);
        told->refused += status == LARDER_BUSY;
        told->failures += status != LARDER_OK && status != LARDER_BUSY;
    }
    if (told->blocks) {
        told->blocks = 0;
        flag_raise(&told->inside);
        told->was_in_time = flag_await(&told->go_on);
    }
}

static larder_cache *cache_that_tells(const struct region *region, struct told *told, uint32_t shards)
{
    static const struct told none = {NULL, NULL, 0, 0, 0, 0, FLAG_DOWN, FLAG_DOWN, 0, 0};
    larder_cache_config config = config_default();
    *told = none;
    config.shards = shards;
    config.on_event = note_event;
    config.event_ctx = told;
    return told->cache = cache_new(region, &config);
}

/* Checks that the next call reports the remaining events. */
static void all_events_are_reported(struct told *told, const struct region *region)
{
    CHECK_STATUS(larder_cache_contains(told->cache, "none", 4), LARDER_NOT_FOUND);
    uint64_t evictions = stats_of(told->cache).evictions;
    CHECK(evictions > 0 && told->evicted == evictions);
    CHECK(told->failures == 0);
    check_cache(told->cache, region);
}

static void *set_many(void *ctx)
{
    struct told *told = (struct told *)ctx;
    uintptr_t failures = 0;
    for (uint64_t key = 0; key < (uint64_t)check_rounds(20 * EVICTING, EVICTING); key++)
        failures += set_number(told->cache, key) != LARDER_OK;
    return (void *)failures;
}

static void caches_whose_events_set_in_the_other_go_on(void)
{
    struct told told[2];
    struct region regions[2];
    pthread_t threads[4];
    for (int i = 0; i < 2; i++) {
        regions[i] = region_new(REGION_SIZE);
        cache_that_tells(&regions[i], &told[i], 1);
    }
    told[0].other = told[1].cache;
    told[1].other = told[0].cache;
    for (int i = 0; i < 4; i++)
        thread_begin(&threads[i], set_many, &told[i % 2]);
    for (int i = 0; i < 4; i++) {
        void *failures = NULL;
        CHECK(pthread_join(threads[i], &failures) == 0 && failures == NULL);
    }
    for (int i = 0; i < 2; i++) {
        told[i].other = NULL;
        all_events_are_reported(&told[i], &regions[i]);
    }
    for (int i = 0; i < 2; i++)
        region_free(&regions[i]);
}

static int32_t visit_nothing(void *ctx, const larder_item_info *item)
{
    (void)ctx;
    (void)item;
    return 0;
}

/* Another thread stays inside on_event until this one has made all calls. */
static void no_call_waits_for_on_event(void)
{
    for (uint32_t shards = 1; shards <= 4; shards += 3) {
        struct region region = region_new(REGION_SIZE);
        struct told told;
        pthread_t thread;
        larder_cursor cursor = {0};
        larder_item_info info;
        larder_cache *cache = cache_that_tells(&region, &told, shards);
        told.blocks = 1;
        thread_begin(&thread, set_many, &told);
        CHECK(flag_await(&told.inside));
        uint64_t evictions = stats_of(cache).evictions;
        for (uint64_t key = 0; key < EVICTING; key++)
            CHECK_STATUS(set_number(cache, UINT64_C(1) << 32 | key), LARDER_OK);
        uint64_t last = UINT64_C(1) << 32 | (EVICTING - 1);
        CHECK(stats_of(cache).evictions > evictions);
        CHECK_STATUS(larder_cache_item_info(cache, &last, sizeof last, &info), LARDER_OK);
        CHECK_STATUS(larder_cache_scan(cache, &cursor, visit_nothing, NULL), LARDER_OK);
        CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_OK);
        check_cache(cache, &region);
        flag_raise(&told.go_on);
        void *failures = NULL;
        CHECK(pthread_join(thread, &failures) == 0 && failures == NULL);
        CHECK(told.was_in_time);
        all_events_are_reported(&told, &region);
        region_free(&region);
    }
}

/* ---- the monitor ---- */

struct watch {
    larder_monitor monitor;
    larder_cache *cache;
    uint64_t reports, wrong; /* written by on_report alone: two threads that tick are a data race */
    struct flag inside, go_on;
    int blocks, was_in_time;
};

static void note_report(void *ctx, const larder_monitor_report *report)
{
    struct watch *watch = (struct watch *)ctx;
    size_t len = 0;
    watch->reports++;
    watch->wrong += report->limit != REGION_SIZE;
    watch->wrong += larder_monitor_stop(&watch->monitor) != LARDER_BUSY;
    watch->wrong += larder_monitor_start(&watch->monitor) != LARDER_BUSY;
    watch->wrong += larder_monitor_poll(&watch->monitor, report->now_ms) != LARDER_BUSY;
    watch->wrong += larder_cache_get(watch->cache, "k", 1, NULL, 0, &len) != LARDER_BUSY;
    if (watch->blocks) {
        watch->blocks = 0;
        flag_raise(&watch->inside);
        watch->was_in_time = flag_await(&watch->go_on);
    }
}

static void watch_init(struct watch *watch, larder_cache *cache, uint64_t interval_ms)
{
    static const struct flag down = FLAG_DOWN;
    larder_monitor_config config;
    memset(watch, 0, sizeof *watch);
    watch->cache = cache;
    watch->inside = watch->go_on = down;
    CHECK_STATUS(larder_monitor_config_init(&config, sizeof config), LARDER_OK);
    config.interval_ms = interval_ms;
    config.on_report = note_report;
    config.report_ctx = watch;
    CHECK_STATUS(larder_monitor_init(&watch->monitor, cache, &config), LARDER_OK);
}

/* A monitor on the heap, which is freed after its stop: a thread still running would read freed memory. */
static struct watch *watch_new(larder_cache *cache)
{
    struct watch *watch = (struct watch *)malloc(sizeof *watch);
    if (!watch) {
        fputs("the test program is out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    watch_init(watch, cache, 1);
    return watch;
}

static uint64_t checks_of(const struct watch *watch)
{
    larder_monitor_stats_t stats;
    memset(&stats, 0, sizeof stats);
    CHECK_STATUS(larder_monitor_stats(&watch->monitor, &stats), LARDER_OK);
    return stats.checks_performed;
}

static int is_running(const struct watch *watch)
{
    larder_monitor_stats_t stats;
    memset(&stats, 0, sizeof stats);
    CHECK_STATUS(larder_monitor_stats(&watch->monitor, &stats), LARDER_OK);
    return stats.running != 0;
}

static void *poll_once(void *ctx)
{
    struct watch *watch = (struct watch *)ctx;
    return larder_monitor_poll(&watch->monitor, 1000) == LARDER_OK ? NULL : ctx;
}

static void no_call_waits_for_a_report(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    struct watch watch;
    pthread_t thread;
    larder_monitor_sample sample;
    uint32_t count = 0;
    watch_init(&watch, cache, 1);
    watch.blocks = 1;
    thread_begin(&thread, poll_once, &watch);
    CHECK(flag_await(&watch.inside));
    for (uint64_t key = 0; key < EVICTING; key++)
        CHECK_STATUS(set_number(cache, key), LARDER_OK);
    uint64_t checks = checks_of(&watch);
    CHECK_STATUS(larder_monitor_poll(&watch.monitor, 5000), LARDER_OK);
    CHECK(checks_of(&watch) == checks); /* one thread at a time checks */
    CHECK_STATUS(larder_monitor_history(&watch.monitor, &sample, 1, &count), LARDER_OK);
    CHECK(count == 1);
    CHECK_STATUS(larder_monitor_start(&watch.monitor), LARDER_OK);
    CHECK_STATUS(larder_monitor_set_interval(&watch.monitor, 2), LARDER_OK);
    CHECK_STATUS(larder_monitor_stop(&watch.monitor), LARDER_OK);
    check_cache(cache, &region);
    flag_raise(&watch.go_on);
    void *failed = NULL;
    CHECK(pthread_join(thread, &failed) == 0 && failed == NULL);
    CHECK(watch.was_in_time && watch.wrong == 0 && watch.reports == checks);
    region_free(&region);
}

/* A stop waits for a report under way, and so does a second stop. A start is LARDER_BUSY until then. */
static void *stop_once(void *ctx)
{
    struct watch *watch = (struct watch *)ctx;
    larder_status status = larder_monitor_stop(&watch->monitor);
    return status == LARDER_OK && !watch->blocks && watch->was_in_time ? NULL : ctx;
}

static void stops_answer_after_the_end(void)
{
    for (int round = 0; round < check_rounds(50, 5); round++) {
        struct region region = region_new(REGION_SIZE);
        larder_cache *cache = cache_new(&region, NULL);
        struct watch *watch = watch_new(cache);
        struct timespec pause = {0, 1000 * 1000};
        pthread_t threads[2];
        watch->blocks = 1;
        CHECK_STATUS(larder_monitor_start(&watch->monitor), LARDER_OK);
        CHECK(flag_await(&watch->inside));
        for (int i = 0; i < 2; i++)
            thread_begin(&threads[i], stop_once, watch);
        nanosleep(&pause, NULL);
        CHECK(is_running(watch));
        CHECK_STATUS(larder_monitor_start(&watch->monitor), LARDER_BUSY);
        flag_raise(&watch->go_on);
        for (int i = 0; i < 2; i++) {
            void *failed = NULL;
            CHECK(pthread_join(threads[i], &failed) == 0 && failed == NULL);
        }
        CHECK(!is_running(watch) && watch->wrong == 0);
        CHECK(watch->reports == checks_of(watch));
        memset(watch, DIRT_BYTE, sizeof *watch);
        free(watch);
        check_cache(cache, &region);
        region_free(&region);
    }
}

static void *start_and_stop(void *ctx)
{
    struct watch *watch = (struct watch *)ctx;
    uintptr_t wrong = 0;
    for (int i = 0; i < check_rounds(500, 50); i++) {
        larder_status status = larder_monitor_start(&watch->monitor);
        wrong += status != LARDER_OK && status != LARDER_BUSY;
        struct timespec pause = {0, i % 3 * 700 * 1000};
        nanosleep(&pause, NULL);
        wrong += larder_monitor_stop(&watch->monitor) != LARDER_OK;
    }
    return (void *)wrong;
}

static void starts_and_stops_of_many_threads_keep_one_thread(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    struct watch *watch = watch_new(cache);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        thread_begin(&threads[i], start_and_stop, watch);
    for (int i = 0; i < 3; i++) {
        void *wrong = NULL;
        CHECK(pthread_join(threads[i], &wrong) == 0 && wrong == NULL);
    }
    CHECK_STATUS(larder_monitor_stop(&watch->monitor), LARDER_OK);
    CHECK(!is_running(watch) && watch->wrong == 0);
    CHECK(watch->reports == checks_of(watch));
    memset(watch, DIRT_BYTE, sizeof *watch);
    free(watch);
    check_cache(cache, &region);
    region_free(&region);
}

static void a_cache_without_a_lock_gets_no_thread(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache_config config = config_default();
    struct watch watch;
    config.flags = LARDER_SINGLE_THREAD;
    larder_cache *cache = cache_new(&region, &config);
    watch_init(&watch, cache, 1);
    CHECK_STATUS(larder_monitor_start(&watch.monitor), LARDER_INVALID);
    CHECK(!is_running(&watch));
    CHECK_STATUS(larder_monitor_stop(&watch.monitor), LARDER_OK);
    CHECK_STATUS(larder_monitor_poll(&watch.monitor, 1000), LARDER_OK);
    CHECK(watch.reports == 1 && watch.wrong == 0);
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    caches_whose_events_set_in_the_other_go_on();
    no_call_waits_for_on_event();
    no_call_waits_for_a_report();
    stops_answer_after_the_end();
    starts_and_stops_of_many_threads_keep_one_thread();
    a_cache_without_a_lock_gets_no_thread();
    return check_end("stress_callbacks");
}
