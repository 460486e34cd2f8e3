/* share_processes.c: what each process that shares a cache has of its own: its events, its threads' callbacks after a
 * fork; and what outlives a process that dies while it makes a shard whole. */
#define _GNU_SOURCE
#include "share.h"

#include <pthread.h>

enum { SIZE = 256 << 10, KEYS = 400, LEASES = 2000, HOUR = 3600000 };

static larder_status set_number(larder_cache *cache, uint32_t key, uint32_t value)
{
    return larder_cache_set(cache, &key, sizeof key, &value, sizeof value, LARDER_TTL_NEVER);
}

static uint32_t number_of(larder_cache *cache, uint32_t key)
{
    uint32_t value = 0;
    size_t len;
    larder_status status = larder_cache_get(cache, &key, sizeof key, &value, sizeof value, &len);
    return status == LARDER_OK && len == sizeof value ? value : 0;
}

static larder_cache *made(void *memory, const larder_cache_config *config)
{
    larder_cache *cache = NULL;
    CHECK_STATUS(share_make(memory, SIZE, config, &cache), LARDER_OK);
    return cache;
}

/* ---- events ---- */

static uint64_t events[4];

static void on_event(void *ctx, const larder_event *event)
{
    (void)ctx;
    if (event->kind < 4)
        events[event->kind] += event->items;
}

static uint64_t overfill(larder_cache *cache)
{
    char value[400] = {0};
    uint64_t before = share_stats(cache).evictions;
    for (uint32_t key = 0; key < 2 * SIZE / sizeof value; key++)
        CHECK_STATUS(larder_cache_set(cache, &key, sizeof key, value, sizeof value, LARDER_TTL_NEVER), LARDER_OK);
    return share_stats(cache).evictions - before;
}

/* A process is told of the items that went in its own calls, and no other one is, whether it listens or not. */
static void each_is_told_its_own_events(void)
{
    void *memory = share_map(SIZE);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT, deaf = LARDER_CACHE_CONFIG_INIT;
    config.on_event = on_event;
    larder_cache *cache = made(memory, &config), *other = NULL;
    pid_t child = share_fork();
    if (child == 0)
        _exit(share_join(memory, SIZE, &deaf, &other) != LARDER_OK || overfill(other) == 0);
    CHECK(share_wait(child) == 0);
    CHECK(number_of(cache, 0) == 0);
    CHECK(events[LARDER_EVENT_EVICTED] == 0);
    uint64_t evicted = overfill(cache);
    CHECK(evicted > 0 && events[LARDER_EVENT_EVICTED] == evicted);
    CHECK_STATUS(share_join(memory, SIZE, &deaf, &other), LARDER_OK);
    CHECK(overfill(other) > 0 && events[LARDER_EVENT_EVICTED] == evicted);
    munmap(memory, SIZE);
}

/* ---- a fork while other threads are inside ---- */

static larder_cache *shared;
static volatile int is_inside, may_leave;

static void stay(void)
{
    is_inside = 1;
    while (!may_leave)
        usleep(1000);
}

static int32_t stay_in_scan(void *ctx, const larder_item_info *item)
{
    (void)ctx, (void)item;
    stay();
    return 1;
}

static void stay_in_event(void *ctx, const larder_event *event)
{
    on_event(ctx, event);
    stay();
}

static void *scans(void *ctx)
{
    larder_cursor cursor = {0};
    (void)larder_cache_scan(shared, &cursor, stay_in_scan, NULL);
    return ctx;
}

static void *evicts(void *ctx)
{
    (void)overfill(shared);
    return ctx;
}

/* It has the number that the parent's thread inside had: C libraries use stacks again. */
static void *uses(void *failed)
{
    if (set_number(shared, 1, 77) != LARDER_OK || number_of(shared, 1) != 77)
        *(int *)failed = 1;
    return NULL;
}

static int32_t count(void *ctx, const larder_item_info *item)
{
    (void)item;
    ++*(int *)ctx;
    return 0;
}

/* The child's end, as the parent sees it. */
static int all_calls(void)
{
    larder_cursor cursor = {0};
    int items = 0, failed = 0;
    pthread_t thread;
    if (pthread_create(&thread, NULL, uses, &failed) != 0)
        return 2;
    pthread_join(thread, NULL);
    if (larder_cache_scan(shared, &cursor, count, &items) != LARDER_OK || items == 0)
        return 3;
    if (larder_cache_reap(shared, NULL, NULL) != LARDER_OK)
        return 4;
    uint64_t before = events[LARDER_EVENT_EVICTED];
    uint64_t evicted = overfill(shared);
    return failed || events[LARDER_EVENT_EVICTED] - before != evicted;
}

static void a_child_forgets_its_parents_threads(void *(*run)(void *))
{
    void *memory = share_map(SIZE);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.on_event = run == scans ? on_event : stay_in_event;
    shared = made(memory, &config);
    for (uint32_t key = 0; key < KEYS; key++)
        CHECK_STATUS(set_number(shared, key, key + 1), LARDER_OK);
    is_inside = may_leave = 0;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, NULL) == 0);
    while (!is_inside)
        usleep(100);
    pid_t child = share_fork();
    if (child == 0) {
        /* The lock of the shard may be the parent's thread's until that goes on. */
        may_leave = 1;
        _exit(all_calls());
    }
    usleep(20000);
    may_leave = 1;
    pthread_join(thread, NULL);
    CHECK(share_wait(child) == 0);
    CHECK_STATUS(larder_cache_check(shared), LARDER_OK);
    munmap(memory, SIZE);
}

/* ---- a child's own callbacks ---- */

static larder_status from_inside;

static void asks(void)
{
    uint32_t key = 1, value;
    size_t len;
    from_inside = larder_cache_get(shared, &key, sizeof key, &value, sizeof value, &len);
}

static int32_t ask_in_scan(void *ctx, const larder_item_info *item)
{
    (void)ctx, (void)item;
    asks();
    return 1;
}

static void ask_in_event(void *ctx, const larder_event *event)
{
    (void)ctx, (void)event;
    asks();
}

static int32_t lock_mutex(void *ctx)
{
    return pthread_mutex_lock(ctx) == 0 ? 0 : -1;
}

static int32_t try_mutex(void *ctx)
{
    return pthread_mutex_trylock(ctx) == 0 ? 0 : -1;
}

static void unlock_mutex(void *ctx)
{
    pthread_mutex_unlock(ctx);
}

/* Nothing was under way when it was forked: its first callback is its own, and a call from there is turned away. */
static void a_childs_first_callback_is_its_own(int hooks, int scans_first)
{
    void *memory = share_map(SIZE);
    pthread_mutex_t *mutex = share_map(4096);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(mutex, &attributes);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.on_event = ask_in_event;
    if (hooks)
        config.lock = lock_mutex, config.try_lock = try_mutex, config.unlock = unlock_mutex, config.lock_ctx = mutex;
    shared = made(memory, &config);
    for (uint32_t key = 0; key < KEYS; key++)
        CHECK_STATUS(set_number(shared, key, key + 1), LARDER_OK);
    pid_t child = share_fork();
    if (child == 0) {
        larder_cursor cursor = {0};
        from_inside = 1;
        if (scans_first)
            (void)larder_cache_scan(shared, &cursor, ask_in_scan, NULL);
        else
            (void)overfill(shared);
        _exit(from_inside != LARDER_BUSY);
    }
    CHECK(share_wait(child) == 0);
    CHECK_STATUS(larder_cache_check(shared), LARDER_OK);
    munmap(mutex, 4096);
    munmap(memory, SIZE);
}

/* ---- a death while a shard is made whole ---- */

static int dies_at_clock;

static uint64_t deadly_clock(void *ctx)
{
    (void)ctx;
    if (dies_at_clock)
        raise(SIGKILL);
    return 1000;
}

static int32_t die_inside(void *ctx, const larder_item_info *item)
{
    (void)ctx, (void)item;
    raise(SIGKILL);
    return 0;
}

/* A child that dies in a scan, or in a recovery. */
static void one_dies(int in_recovery)
{
    larder_cursor cursor = {0};
    pid_t child = share_fork();
    if (child == 0) {
        dies_at_clock = in_recovery;
        (void)larder_cache_scan(shared, &cursor, die_inside, NULL);
        _exit(1);
    }
    CHECK(share_wait(child) == -SIGKILL);
}

/* A view that was released stays so, however many died since: no later view has its number. */
static void what_was_released_stays_so(void)
{
    void *memory = share_map(SIZE);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.now_ms = deadly_clock;
    shared = made(memory, &config);
    uint32_t key = 0;
    larder_view released, view;
    for (key = 0; key < KEYS; key++)
        CHECK_STATUS(set_number(shared, key, key + 1), LARDER_OK);
    key = 0;
    CHECK_STATUS(larder_cache_pin(shared, &key, sizeof key, &released), LARDER_OK);
    CHECK_STATUS(larder_cache_unpin(shared, &released), LARDER_OK);
    one_dies(0);
    one_dies(1);
    one_dies(1);
    CHECK_STATUS(larder_cache_pin(shared, &key, sizeof key, &view), LARDER_OK);
    CHECK_STATUS(larder_cache_unpin(shared, &released), LARDER_STALE);
    CHECK_STATUS(larder_cache_unpin(shared, &view), LARDER_OK);
    for (key = 0; key < KEYS; key++)
        CHECK(number_of(shared, key) == key + 1);
    larder_cache_stats_t stats = share_stats(shared);
    CHECK(stats.recoveries == 1 && stats.sets == KEYS);
    CHECK_STATUS(larder_cache_check(shared), LARDER_OK);
    munmap(memory, SIZE);
}

/* ---- what is changed in its place, and what is asked how often ---- */

/* A value and its checksum cannot change at once: with one, another TTL is another copy, and the old one stays until
 * that is there. */
static void a_touch_lies_beside_with_checksums(void)
{
    void *memory = share_map(SIZE);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.flags = LARDER_CHECKSUM;
    larder_cache *cache = made(memory, &config);
    uint32_t key = 1;
    larder_view before, after;
    CHECK_STATUS(larder_cache_set(cache, &key, sizeof key, "value", 5, HOUR), LARDER_OK);
    CHECK_STATUS(larder_cache_pin(cache, &key, sizeof key, &before), LARDER_OK);
    CHECK_STATUS(larder_cache_unpin(cache, &before), LARDER_OK);
    CHECK_STATUS(larder_cache_touch(cache, &key, sizeof key, 2 * HOUR), LARDER_OK);
    CHECK_STATUS(larder_cache_pin(cache, &key, sizeof key, &after), LARDER_OK);
    CHECK(after.data != before.data && after.len == 5 && memcmp(after.data, "value", 5) == 0);
    CHECK_STATUS(larder_cache_unpin(cache, &after), LARDER_OK);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    munmap(memory, SIZE);
}

static int is_parent(void *asked, uint32_t process)
{
    ++*(unsigned *)asked;
    CHECK(process != 0);
    return process == (uint32_t)getpid();
}

/* A reap asks once for leases of one process that follow each other, and its process is told of those that went. */
static void many_leases_ask_little(void)
{
    void *memory = share_map(SIZE);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.on_event = on_event;
    shared = made(memory, &config);
    larder_lease lease;
    for (uint32_t first = 0; first < 2; first++) {
        pid_t child = first == 0 ? share_fork() : 0;
        for (uint32_t key = first * LEASES; child == 0 && key < (first + 1) * LEASES; key++)
            CHECK_STATUS(larder_cache_lease(shared, &key, sizeof key, HOUR, &lease), LARDER_OK);
        if (first == 0 && child == 0)
            _exit(check_failed != 0);
        if (first == 0)
            CHECK(share_wait(child) == 0);
    }
    unsigned asked = 0;
    uint64_t told = events[LARDER_EVENT_EXPIRED];
    uint32_t key = 0;
    larder_view views[2];
    CHECK_STATUS(set_number(shared, 2 * LEASES, 1), LARDER_OK);
    key = 2 * LEASES;
    for (int i = 0; i < 2; i++)
        CHECK_STATUS(larder_cache_pin(shared, &key, sizeof key, &views[i]), LARDER_OK);
    CHECK_STATUS(larder_cache_unpin(shared, &views[0]), LARDER_OK);
    CHECK(share_stats(shared).item_count == 2 * LEASES + 1);
    CHECK_STATUS(larder_cache_reap(shared, is_parent, &asked), LARDER_OK);
    CHECK(share_stats(shared).item_count == LEASES + 1);
    CHECK_STATUS(larder_cache_unpin(shared, &views[1]), LARDER_OK);
    CHECK(events[LARDER_EVENT_EXPIRED] - told == LEASES);
    CHECK(asked >= 2 && asked <= share_stats(shared).page_count);
    CHECK_STATUS(larder_cache_check(shared), LARDER_OK);
    munmap(memory, SIZE);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    each_is_told_its_own_events();
    /* To memcheck, which runs this quickly, the child has lost the stacks of threads that it has not got. */
    if (!check_quick) {
        a_child_forgets_its_parents_threads(scans);
        a_child_forgets_its_parents_threads(evicts);
    }
    for (int i = 0; i < 4; i++)
        a_childs_first_callback_is_its_own(i & 1, i >> 1);
    what_was_released_stays_so();
    a_touch_lies_beside_with_checksums();
    many_leases_ask_little();
    return check_end("share_processes");
}
