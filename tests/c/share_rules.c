/* share_rules.c: one cache, several processes: who makes it, who joins it and who is told why not; what a dead process
 * held; what one process does and another one sees. */
#define _GNU_SOURCE
#include "share.h"

#include <pthread.h>

enum { SIZE = 1 << 20, SHARDS = 4, KEYS = 2000, RACERS = 8, RACES = 20 };

static larder_cache_config configured(void)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.shards = SHARDS;
    config.hash_seed = 7;
    return config;
}

static larder_status set_number(larder_cache *cache, uint32_t key, uint32_t value)
{
    return larder_cache_set(cache, &key, sizeof key, &value, sizeof value, LARDER_TTL_DEFAULT);
}

/* The value of a key; 0 where there is none. */
static uint32_t number_of(larder_cache *cache, uint32_t key)
{
    uint32_t value = 0;
    size_t len;
    larder_status status = larder_cache_get(cache, &key, sizeof key, &value, sizeof value, &len);
    return status == LARDER_OK && len == sizeof value ? value : 0;
}

/* ---- making and joining ---- */

static void statuses_tell_apart(void)
{
    void *memory = share_map(SIZE);
    larder_cache_config config = configured(), other = config;
    larder_cache *cache = NULL, *joined = NULL;
    size_t handle_size = larder_cache_handle_size();
    void *handle = share_handle();

    CHECK_STATUS(share_join(memory, SIZE, &config, &joined), LARDER_NOT_FOUND);
    CHECK_STATUS(larder_cache_share(memory, SIZE, &config, handle, handle_size - 1, &cache), LARDER_NO_MEMORY);
    CHECK_STATUS(larder_cache_share(memory, SIZE, &config, (char *)handle + 1, handle_size, &cache), LARDER_MISALIGNED);
    CHECK_STATUS(larder_cache_share(memory, 4096, &config, handle, handle_size, &cache), LARDER_NO_MEMORY);
    CHECK_STATUS(larder_cache_share((char *)memory + 8, SIZE - 8, &config, handle, handle_size, &cache),
                 LARDER_MISALIGNED);
    other.flags = LARDER_SINGLE_THREAD;
    CHECK_STATUS(larder_cache_share(memory, SIZE, &other, handle, handle_size, &cache), LARDER_INVALID);
    CHECK_STATUS(share_join(memory, SIZE, &config, &joined), LARDER_NOT_FOUND);
    CHECK(cache == NULL && joined == NULL);

    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    CHECK_STATUS(share_make(memory, SIZE, &config, &joined), LARDER_EXISTS);
    CHECK_STATUS(larder_cache_join(memory, SIZE, &config, handle, handle_size - 1, &joined), LARDER_NO_MEMORY);
    CHECK_STATUS(share_join(memory, SIZE / 2, &config, &joined), LARDER_NO_MEMORY);
    other = config, other.shards = 2;
    CHECK_STATUS(share_join(memory, SIZE, &other, &joined), LARDER_VERSION_MISMATCH);
    other = config, other.hash_seed = 8;
    CHECK_STATUS(share_join(memory, SIZE, &other, &joined), LARDER_VERSION_MISMATCH);
    other = config, other.key_len_max = 16;
    CHECK_STATUS(share_join(memory, SIZE, &other, &joined), LARDER_VERSION_MISMATCH);
    other = config, other.flags = LARDER_CHECKSUM;
    CHECK_STATUS(share_join(memory, SIZE, &other, &joined), LARDER_VERSION_MISMATCH);
    CHECK_STATUS(share_make(memory, SIZE, &other, &joined), LARDER_VERSION_MISMATCH);
    larder_attach_report report = LARDER_ATTACH_REPORT_INIT;
    CHECK_STATUS(larder_cache_attach(memory, SIZE, &config, &joined, &report), LARDER_VERSION_MISMATCH);
    CHECK(joined == NULL);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);

    /* Another version's cache, and one of a single owner. */
    ((unsigned char *)memory)[6] ^= 1;
    CHECK_STATUS(share_join(memory, SIZE, &config, &joined), LARDER_VERSION_MISMATCH);
    CHECK_STATUS(share_make(memory, SIZE, &config, &joined), LARDER_VERSION_MISMATCH);
    memset(memory, 0, 16);
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    CHECK_STATUS(larder_cache_init(memory, SIZE, &config, &cache), LARDER_OK);
    CHECK_STATUS(share_join(memory, SIZE, &config, &joined), LARDER_VERSION_MISMATCH);
    CHECK_STATUS(larder_cache_reap(cache, NULL, NULL), LARDER_INVALID);
    munmap(memory, SIZE);
}

/* The maker of a cache died, or is at it. */
static void one_that_is_made(void)
{
    void *memory = share_map(SIZE);
    larder_cache_config config = configured();
    larder_cache *cache = NULL;
    /* The first word by then: 'M', and who makes it. */
    uint32_t first = UINT32_C(0x4d000000) | (uint32_t)getpid();
    memcpy(memory, &first, sizeof first);
    CHECK_STATUS(share_join(memory, SIZE, &config, &cache), LARDER_BUSY);
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_BUSY);
    pid_t child = share_fork();
    if (child == 0)
        _exit(0);
    share_wait(child);
    first = UINT32_C(0x4d000000) | (uint32_t)child;
    memcpy(memory, &first, sizeof first);
    CHECK_STATUS(share_join(memory, SIZE, &config, &cache), LARDER_NOT_FOUND);
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    munmap(memory, SIZE);
}

/* Each of several processes makes the cache or joins it. Its exit code: 1 where it made it, 0 where it joined. */
static int race(void *memory, uint32_t number)
{
    larder_cache_config config = configured();
    larder_cache *cache = NULL;
    int made = 0;
    void *again = number % 2 ? share_map_again(memory, SIZE) : memory;
    for (;;) {
        larder_status status = share_make(again, SIZE, &config, &cache);
        made = status == LARDER_OK;
        if (status == LARDER_EXISTS)
            status = share_join(again, SIZE, &config, &cache);
        if (status == LARDER_OK)
            break;
        if (status != LARDER_BUSY)
            return 100;
    }
    return set_number(cache, number, number + 1) == LARDER_OK ? made : 101;
}

static void one_of_many_makes_it(void)
{
    for (int round = 0; round < RACES; round++) {
        void *memory = share_map(SIZE);
        pid_t racers[RACERS];
        int made = 0;
        for (uint32_t i = 0; i < RACERS; i++) {
            racers[i] = share_fork();
            if (racers[i] == 0)
                _exit(race(memory, i));
        }
        for (int i = 0; i < RACERS; i++)
            made += share_wait(racers[i]);
        CHECK(made == 1);
        larder_cache *cache = NULL;
        larder_cache_config config = configured();
        CHECK_STATUS(share_join(memory, SIZE, &config, &cache), LARDER_OK);
        for (uint32_t i = 0; i < RACERS; i++)
            CHECK(number_of(cache, i) == i + 1);
        CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
        munmap(memory, SIZE);
    }
}

/* ---- several addresses ---- */

static void one_cache_at_two_addresses(void)
{
    void *memory = share_map(SIZE), *again = share_map_again(memory, SIZE);
    larder_cache_config config = configured();
    larder_cache *caches[2] = {NULL, NULL};
    CHECK_STATUS(share_make(memory, SIZE, &config, &caches[0]), LARDER_OK);
    CHECK_STATUS(share_join(again, SIZE, &config, &caches[1]), LARDER_OK);
    for (uint32_t key = 0; key < 20 * KEYS; key++)
        CHECK_STATUS(set_number(caches[key % 2], key, key + 1), LARDER_OK);
    uint32_t found = 0;
    for (uint32_t key = 0; key < 20 * KEYS; key++) {
        uint32_t value = number_of(caches[key / 2 % 2], key);
        CHECK(value == 0 || value == key + 1);
        found += value != 0;
    }
    CHECK(found == larder_cache_item_count(caches[0]) && found > KEYS);
    for (uint32_t key = 0; key < 20 * KEYS; key += 3) {
        larder_status status = larder_cache_delete(caches[key % 2], &key, sizeof key);
        CHECK(status == LARDER_OK || status == LARDER_NOT_FOUND);
        CHECK(number_of(caches[1 - key % 2], key) == 0);
    }
    larder_optimize_report report = LARDER_OPTIMIZE_REPORT_INIT;
    CHECK_STATUS(larder_cache_optimize(caches[1], 0, &report), LARDER_OK);
    CHECK_STATUS(larder_cache_check(caches[0]), LARDER_OK);
    CHECK_STATUS(larder_cache_check(caches[1]), LARDER_OK);

    /* Limit, statistics and time are one for all. */
    CHECK_STATUS(larder_cache_set_memory_limit(caches[0], SIZE / 2), LARDER_OK);
    CHECK_STATUS(larder_cache_optimize(caches[1], 0, &report), LARDER_OK);
    CHECK(larder_cache_memory_limit(caches[1]) == SIZE / 2 && larder_cache_memory_usage(caches[0]) <= SIZE / 2);
    larder_cache_stats_t one = share_stats(caches[0]), other = share_stats(caches[1]);
    CHECK(memcmp(&one, &other, sizeof one) == 0);
    CHECK_STATUS(larder_cache_set_time(caches[0], 1000), LARDER_OK);
    uint32_t key = 1;
    CHECK_STATUS(larder_cache_set(caches[1], &key, sizeof key, &key, sizeof key, 500), LARDER_OK);
    CHECK(number_of(caches[0], 1) == 1);
    CHECK_STATUS(larder_cache_set_time(caches[1], 1600), LARDER_OK);
    CHECK(number_of(caches[0], 1) == 0);
    CHECK_STATUS(larder_cache_clear(caches[1]), LARDER_OK);
    CHECK(larder_cache_item_count(caches[0]) == 0);
    CHECK_STATUS(larder_cache_check(caches[0]), LARDER_OK);
    munmap(memory, SIZE);
    munmap(again, SIZE);
}

/* ---- a monitor ---- */

/* One process watches; the others' sets are what it sees. */
static void one_monitor_is_enough(void)
{
    void *memory = share_map(SIZE);
    larder_cache_config config = configured();
    larder_cache *cache = NULL;
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    larder_monitor monitor;
    larder_monitor_config watch = LARDER_MONITOR_CONFIG_INIT;
    watch.interval_ms = 1;
    CHECK_STATUS(larder_monitor_init(&monitor, cache, &watch), LARDER_OK);
    pid_t child = share_fork();
    if (child == 0) {
        int failed = 0;
        for (uint32_t key = 0; key < 40 * KEYS; key++)
            failed += set_number(cache, key, key + 1) != LARDER_OK;
        _exit(failed != 0);
    }
    CHECK_STATUS(larder_monitor_start(&monitor), LARDER_OK);
    CHECK(share_wait(child) == 0);
    larder_monitor_stats_t stats = LARDER_MONITOR_STATS_INIT;
    for (int i = 0; i < 5000 && stats.checks_performed < 3; i++) {
        usleep(1000);
        CHECK_STATUS(larder_monitor_stats(&monitor, &stats), LARDER_OK);
    }
    CHECK(stats.checks_performed >= 3);
    CHECK_STATUS(larder_monitor_stop(&monitor), LARDER_OK);
    uint64_t later = share_now_ns() / 1000000 + 1000000000;
    CHECK_STATUS(larder_monitor_poll(&monitor, later), LARDER_OK);
    child = share_fork();
    if (child == 0) {
        for (uint32_t key = 0; key < KEYS; key++)
            (void)number_of(cache, 40 * KEYS - 1 - key);
        _exit(0);
    }
    CHECK(share_wait(child) == 0);
    CHECK_STATUS(larder_monitor_poll(&monitor, later + 1000), LARDER_OK);
    larder_monitor_sample sample[1];
    uint32_t count = 0;
    CHECK_STATUS(larder_monitor_history(&monitor, sample, 1, &count), LARDER_OK);
    CHECK(count == 1 && sample[0].hits + sample[0].misses == KEYS);
    CHECK(share_stats(cache).sets == 40 * KEYS);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    munmap(memory, SIZE);
}

/* ---- what a process holds ---- */

static char held_text[] = "held while others come and go";

static int die_holding(larder_cache *cache)
{
    larder_view view = {0};
    larder_reservation reservation = {0};
    int holds = larder_cache_pin(cache, "pinned", 6, &view) == LARDER_OK &&
                larder_cache_reserve(cache, "reserved", 8, 100, LARDER_TTL_NEVER, &reservation) == LARDER_OK;
    return holds ? 0 : 1;
}

static int is_parent(void *ctx, uint32_t process)
{
    return *(uint32_t *)ctx == process;
}

static void what_the_dead_held_is_given_back(void)
{
    void *memory = share_map(SIZE);
    larder_cache_config config = configured();
    larder_cache *cache = NULL;
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    CHECK_STATUS(larder_cache_set(cache, "pinned", 6, held_text, sizeof held_text, LARDER_TTL_NEVER), LARDER_OK);
    larder_view mine = {0};
    CHECK_STATUS(larder_cache_pin(cache, "pinned", 6, &mine), LARDER_OK);
    for (int i = 0; i < 3; i++) {
        pid_t child = share_fork();
        if (child == 0)
            _exit(die_holding(cache));
        CHECK(share_wait(child) == 0);
    }
    larder_cache_stats_t stats = share_stats(cache);
    CHECK(stats.views == 4 && stats.reservations == 3);
    uint32_t parent = (uint32_t)getpid();
    CHECK_STATUS(larder_cache_reap(cache, is_parent, &parent), LARDER_OK);
    stats = share_stats(cache);
    CHECK(stats.views == 1 && stats.reservations == 0);
    pid_t child = share_fork();
    if (child == 0)
        _exit(die_holding(cache));
    CHECK(share_wait(child) == 0);
    CHECK_STATUS(larder_cache_reap(cache, NULL, NULL), LARDER_OK);
    stats = share_stats(cache);
    CHECK(stats.views == 1 && stats.reservations == 0);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    CHECK_STATUS(larder_cache_unpin(cache, &mine), LARDER_OK);
    CHECK(share_stats(cache).views == 0);
    munmap(memory, SIZE);
}

enum { LEASE_MS = 1000000 };

static larder_status lease(larder_cache *cache, uint32_t key, larder_lease *out)
{
    return larder_cache_lease(cache, &key, sizeof key, LEASE_MS, out);
}

/* A child that takes leases of `count` keys, and ends; its parent has not waited for it yet. */
static pid_t lessee(larder_cache *cache, uint32_t count)
{
    pid_t child = share_fork();
    if (child == 0) {
        larder_lease leased;
        for (uint32_t key = 0; key < count; key++)
            if (lease(cache, key, &leased) != LARDER_OK)
                _exit(1);
        _exit(0);
    }
    siginfo_t info;
    CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0 && info.si_status == 0);
    return child;
}

static int is_self(void *ctx, uint32_t process)
{
    (void)ctx;
    return process == (uint32_t)getpid();
}

/* Leases end with the process that has them: for the next who misses the key, and for who reaps. */
static void leases_of_the_dead_end(void)
{
    void *memory = share_map(SIZE);
    larder_cache_config config = configured();
    larder_cache *cache = NULL;
    larder_lease mine, other;
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    CHECK_STATUS(lease(cache, KEYS, &mine), LARDER_OK);
    pid_t child = lessee(cache, 100);
    CHECK_STATUS(lease(cache, 0, &other), LARDER_BUSY);
    CHECK(share_wait(child) == 0);
    CHECK_STATUS(lease(cache, 0, &other), LARDER_OK);
    CHECK_STATUS(lease(cache, 0, &other), LARDER_BUSY);
    CHECK(share_stats(cache).item_count == 101);
    CHECK_STATUS(larder_cache_reap(cache, NULL, NULL), LARDER_OK);
    larder_cache_stats_t stats = share_stats(cache);
    CHECK(stats.item_count == 2 && stats.sets == stats.item_count + stats.expirations);

    /* To the system a child lives until its parent has waited for it; a function can know better. */
    CHECK_STATUS(larder_cache_fill(cache, &other, "o", 1, LARDER_TTL_NEVER), LARDER_OK);
    uint32_t key = 0;
    CHECK_STATUS(larder_cache_delete(cache, &key, sizeof key), LARDER_OK);
    child = lessee(cache, 50);
    CHECK_STATUS(larder_cache_reap(cache, NULL, NULL), LARDER_OK);
    CHECK(share_stats(cache).item_count == 51);
    CHECK_STATUS(larder_cache_reap(cache, is_self, NULL), LARDER_OK);
    CHECK(share_stats(cache).item_count == 1);
    CHECK(share_wait(child) == 0);
    CHECK_STATUS(larder_cache_fill(cache, &mine, "m", 1, LARDER_TTL_NEVER), LARDER_OK);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    munmap(memory, SIZE);
}

/* ---- death in mid-call ---- */

static int die_inside(void *ctx, const larder_item_info *item)
{
    (void)ctx, (void)item;
    raise(SIGKILL);
    return 0;
}

static void die_in_scan(larder_cache *cache)
{
    larder_cursor cursor = {0};
    larder_cache_scan(cache, &cursor, die_inside, NULL);
    _exit(1);
}

static int events[4];

static void on_event(void *ctx, const larder_event *event)
{
    (void)ctx;
    if (event->kind < 4)
        events[event->kind] += (int)event->items;
}

/* A view and a reservation outlive the death of another process inside their shard. */
static void what_the_living_hold_stays(void)
{
    void *memory = share_map(SIZE);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.on_event = on_event;
    config.pins_max = 8;
    larder_cache *cache = NULL;
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    larder_view views[4];
    for (uint32_t key = 0; key < KEYS; key++)
        CHECK_STATUS(set_number(cache, key, key + 1), LARDER_OK);
    for (uint32_t i = 0; i < 4; i++) {
        views[i] = (larder_view){0};
        CHECK_STATUS(larder_cache_pin(cache, &i, sizeof i, &views[i]), LARDER_OK);
    }
    uint32_t gone = 1, changed = 2, big = KEYS + 1, leased = KEYS + 2, left = KEYS + 3;
    larder_lease mine, other;
    CHECK_STATUS(lease(cache, leased, &mine), LARDER_OK);
    CHECK_STATUS(larder_cache_delete(cache, &gone, sizeof gone), LARDER_OK);
    CHECK_STATUS(set_number(cache, changed, 99), LARDER_OK);
    larder_reservation reservation = {0};
    enum { BIG = 40000 };
    CHECK_STATUS(larder_cache_reserve(cache, &big, sizeof big, BIG, LARDER_TTL_NEVER, &reservation), LARDER_OK);

    pid_t child = share_fork();
    if (child == 0) {
        if (lease(cache, left, &other) != LARDER_OK)
            _exit(2);
        die_in_scan(cache);
    }
    CHECK(share_wait(child) == -SIGKILL);
    uint32_t key = 0, value = 0;
    size_t len;
    CHECK_STATUS(larder_cache_try_get(cache, &key, sizeof key, &value, sizeof value, &len), LARDER_BUSY);
    CHECK_STATUS(larder_cache_try_get(cache, &key, sizeof key, &value, sizeof value, &len), LARDER_BUSY);
    CHECK(share_stats(cache).recoveries == 1);
    CHECK(events[LARDER_EVENT_RECOVERED] == 1);
    CHECK_STATUS(larder_cache_try_get(cache, &key, sizeof key, &value, sizeof value, &len), LARDER_OK);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    larder_cache_stats_t stats = share_stats(cache);
    CHECK(stats.views == 4 && stats.reservations == 1 && stats.item_count == KEYS && stats.sets == KEYS + 3);
    CHECK_STATUS(lease(cache, leased, &other), LARDER_BUSY);
    CHECK_STATUS(larder_cache_fill(cache, &mine, &leased, sizeof leased, LARDER_TTL_NEVER), LARDER_OK);
    CHECK(number_of(cache, leased) == leased);
    CHECK_STATUS(lease(cache, left, &other), LARDER_OK);
    CHECK_STATUS(larder_cache_fill(cache, &other, "1", 1, LARDER_TTL_NEVER), LARDER_OK);

    /* As much is set as evicts all that is not held. */
    for (key = 10 * KEYS; key < 60 * KEYS; key++)
        CHECK_STATUS(set_number(cache, key, key + 1), LARDER_OK);
    for (uint32_t i = 0; i < 4; i++) {
        memcpy(&value, views[i].data, sizeof value);
        CHECK(views[i].len == sizeof value && value == i + 1);
    }
    CHECK(number_of(cache, gone) == 0);
    larder_span spans[64];
    size_t count = 0;
    CHECK_STATUS(larder_cache_reservation_spans(cache, &reservation, spans, 64, &count), LARDER_OK);
    for (size_t i = 0; i < count; i++)
        memset((void *)spans[i].data, 'x', spans[i].len);
    CHECK_STATUS(larder_cache_commit(cache, &reservation), LARDER_OK);
    static char buffer[BIG];
    CHECK_STATUS(larder_cache_get(cache, &big, sizeof big, buffer, sizeof buffer, &len), LARDER_OK);
    CHECK(len == BIG && buffer[0] == 'x' && buffer[BIG - 1] == 'x');
    for (int i = 0; i < 4; i++)
        CHECK_STATUS(larder_cache_unpin(cache, &views[i]), LARDER_OK);
    CHECK_STATUS(larder_cache_unpin(cache, &views[0]), LARDER_STALE);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    munmap(memory, SIZE);
}

/* ---- waiting ---- */

enum { HOLD_MS = 500 };

static int hold_inside(void *ctx, const larder_item_info *item)
{
    (void)item;
    __atomic_store_n((int *)ctx, 1, __ATOMIC_SEQ_CST);
    usleep(HOLD_MS * 1000);
    return 0;
}

/* A child that has the lock of a cache's only shard as long as `inside` says. */
static pid_t holder(larder_cache *cache, larder_scan_fn inside, int *step)
{
    pid_t child = share_fork();
    if (child == 0) {
        larder_cursor cursor = {0};
        _exit(larder_cache_scan(cache, &cursor, inside, step) == LARDER_OK ? 0 : 1);
    }
    while (!__atomic_load_n(step, __ATOMIC_SEQ_CST))
        usleep(100);
    return child;
}

static uint64_t processor_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Who waits for long looks a while, and sleeps. */
static void a_waiter_sleeps(void)
{
    void *memory = share_map(SIZE);
    int *is_held = share_map(sizeof *is_held);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    larder_cache *cache = NULL;
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    CHECK_STATUS(set_number(cache, 1, 1), LARDER_OK);
    pid_t child = holder(cache, hold_inside, is_held);
    uint64_t began = share_now_ns(), used = processor_ms();
    CHECK(number_of(cache, 1) == 1);
    CHECK(processor_ms() - used < HOLD_MS / 5);
    CHECK(share_now_ns() - began > HOLD_MS / 5 * 1000000u);
    CHECK(share_wait(child) == 0);
    munmap(memory, SIZE);
    munmap(is_held, sizeof *is_held);
}

#ifdef __GLIBC__
static int wait_inside(void *ctx, const larder_item_info *item)
{
    int *step = ctx;
    (void)item;
    __atomic_store_n(step, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(step, __ATOMIC_SEQ_CST) != 2)
        usleep(100);
    return 0;
}

/* The word of a mutex that this process has, and for which others wait. */
static uint32_t *word_of_mutex(void *memory, pid_t owner)
{
    const uint32_t waited_for = (uint32_t)owner | 1u << 31;
    for (uint32_t *word = memory, *end = word + SIZE / sizeof *word; word < end; word++)
        if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == waited_for)
            return word;
    return NULL;
}

/* A waiter that is killed at the moment when it is woken leaves the others asleep, if a third has the mutex by then:
 * the mutex does not say any more that they wait. */
static void who_was_not_woken_looks_again(void)
{
    void *memory = share_map(SIZE);
    int *step = share_map(sizeof *step);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    larder_cache *cache = NULL;
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    CHECK_STATUS(set_number(cache, 1, 1), LARDER_OK);
    pid_t owner = holder(cache, wait_inside, step);
    pid_t waiter = share_fork();
    if (waiter == 0)
        _exit(number_of(cache, 1) == 1 ? 0 : 1);
    uint32_t *word = NULL;
    while ((word = word_of_mutex(memory, owner)) == NULL)
        usleep(100);
    /* It may have been awake once: looked at, and asleep again, by now. */
    usleep(2000);
    __atomic_fetch_and(word, ~(1u << 31), __ATOMIC_SEQ_CST);
    __atomic_store_n(step, 2, __ATOMIC_SEQ_CST);
    CHECK(share_wait(owner) == 0);
    CHECK(share_wait(waiter) == 0);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    munmap(memory, SIZE);
    munmap(step, sizeof *step);
}
#endif

/* ---- a fork in mid-call ---- */

static pid_t forked;

static int fork_inside(void *ctx, const larder_item_info *item)
{
    (void)ctx, (void)item;
    forked = share_fork();
    return 1;
}

static void a_fork_in_mid_call(int deletes)
{
    void *memory = share_map(SIZE);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    larder_cache *cache = NULL;
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    for (uint32_t key = 0; key < KEYS; key++)
        CHECK_STATUS(set_number(cache, key, key + 1), LARDER_OK);
    larder_cursor cursor = {0};
    uint64_t deleted = 0;
    larder_status status = deletes ? larder_cache_delete_if(cache, &cursor, 1, fork_inside, NULL, &deleted)
                                   : larder_cache_scan(cache, &cursor, fork_inside, NULL);
    if (forked == 0) {
        /* The child: the call says so, and others work. */
        int works = status == LARDER_BUSY && number_of(cache, 5) == 6 && set_number(cache, 5, 7) == LARDER_OK;
        _exit(works ? 0 : 1);
    }
    CHECK(status == LARDER_AGAIN);
    CHECK(share_wait(forked) == 0);
    CHECK(number_of(cache, 5) == 7 || deletes);
    CHECK(larder_cache_item_count(cache) >= KEYS - 1);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    CHECK(share_stats(cache).recoveries == 0);
    munmap(memory, SIZE);
}

/* ---- a file that is cut ---- */

static void a_file_that_is_cut_ends_who_touches_it(void)
{
    int file = memfd_create("cache", MFD_CLOEXEC);
    CHECK(file >= 0 && ftruncate(file, SIZE) == 0);
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(memory != MAP_FAILED);
    larder_cache_config config = configured();
    larder_cache *cache = NULL;
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    pid_t child = share_fork();
    if (child == 0) {
        signal(SIGBUS, SIG_DFL);
        for (uint32_t key = 0;; key++)
            set_number(cache, key, key);
    }
    CHECK(ftruncate(file, 0) == 0);
    CHECK(share_wait(child) == -SIGBUS);
    munmap(memory, SIZE);
    close(file);
}

/* ---- hooks ---- */

static int hook_lock(void *ctx)
{
    pthread_mutex_t *mutex = ctx;
    int answer = pthread_mutex_lock(mutex);
    if (answer == EOWNERDEAD)
        pthread_mutex_consistent(mutex);
    return answer == EOWNERDEAD ? LARDER_OWNER_DIED : answer;
}

static void hook_unlock(void *ctx)
{
    pthread_mutex_unlock(ctx);
}

static void hooks_tell_that_the_owner_died(void)
{
    void *memory = share_map(SIZE);
    pthread_mutex_t *mutex = share_map(4096);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(mutex, &attributes);
    larder_cache_config config = configured();
    config.lock = hook_lock, config.unlock = hook_unlock, config.lock_ctx = mutex;
    larder_cache *cache = NULL;
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    for (uint32_t key = 0; key < KEYS; key++)
        CHECK_STATUS(set_number(cache, key, key + 1), LARDER_OK);
    pid_t child = share_fork();
    if (child == 0)
        die_in_scan(cache);
    CHECK(share_wait(child) == -SIGKILL);
    for (uint32_t key = 0; key < KEYS; key++)
        CHECK(number_of(cache, key) == key + 1);
    CHECK(share_stats(cache).recoveries == SHARDS);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    munmap(memory, SIZE);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    statuses_tell_apart();
    one_that_is_made();
    one_of_many_makes_it();
    one_cache_at_two_addresses();
    what_the_dead_held_is_given_back();
    leases_of_the_dead_end();
    what_the_living_hold_stays();
    a_waiter_sleeps();
#ifdef __GLIBC__
    /* memcheck, which runs this quickly, minds a look at bytes between the fields of structures. */
    if (!check_quick)
        who_was_not_woken_looks_again();
#endif
    a_fork_in_mid_call(0);
    a_fork_in_mid_call(1);
    hooks_tell_that_the_owner_died();
    a_file_that_is_cut_ends_who_touches_it();
    one_monitor_is_enough();
    return check_end("share_rules");
}
