/* stress_threads.c: four threads make all kinds of calls on one cache at the same time, beside a monitor's thread. The
 * variants have one shard or eight, the library's lock or the host's, little memory or more.
 *
 * Every value read must fit its key and length. A key written by one thread alone must have that thread's last value.
 * In the end every counter must equal the threads' counts. The argument "hooks" leaves out the library's lock, for
 * checkers that know only the host's. */
#define _POSIX_C_SOURCE 200809L

#include "check.h"

#include <pthread.h>

enum {
    THREADS = 4,
    SHARED_KEYS = 800, /* written by every thread */
    KEYS = 2400,       /* of the others, each is written by one thread alone */
    NUMBERS = 8,       /* keys of integers, after the others */
    VALUE_SIZE_MAX = 8192,
    VERSIONS = 15,
    TTL_MAX_MS = 20,
    MONITOR_INTERVAL_MS = 2,
    SMALL = 64 * 1024,
    LARGE = 1024 * 1024
};

/* The results of calls; the cache must count the same. */
struct tally {
    uint64_t hits, misses, sets, deletes, exists, too_large, no_memory, too_short, mismatches, busy;
};

struct worker {
    pthread_t thread;
    larder_cache *cache;
    size_t region_size;
    unsigned number;
    int rounds;
    uint64_t random;
    struct tally tally;
    unsigned long checks, failures;
    unsigned char latest[KEYS]; /* the version that this thread wrote last, 0 = none */
    unsigned char value[VALUE_SIZE_MAX];
};

/* The harness counts in one thread only. So each thread has its own counts, which are added after its end. */
#define EXPECT(worker, claim) expect((worker), (claim) ? 1 : 0, #claim, __LINE__)

static int expect(struct worker *worker, int holds, const char *claim, int line)
{
    worker->checks++;
    if (!holds && worker->failures++ < FAILURES_PRINTED_MAX)
        fprintf(stderr, "%s:%d: does not hold: %s  %s\n", __FILE__, line, claim, check_context);
    return holds;
}

static uint64_t below(struct worker *worker, uint64_t end)
{
    return (next_random(&worker->random) >> 16) % end;
}

/* ---- values: every byte is a function of key, length and version ---- */

static uint32_t mark_of(uint64_t key, size_t len)
{
    return (uint32_t)(key + 1) * UINT32_C(2654435761) + (uint32_t)len * UINT32_C(40503);
}

static unsigned char byte_of(uint32_t mark, unsigned version, size_t i)
{
    if (i == 0)
        return (unsigned char)((mark >> 24 & 0xF0) | version);
    return (unsigned char)((mark >> i % 4 * 8) + version + i + i / 256);
}

static void make_value(unsigned char *value, uint64_t key, size_t len, unsigned version)
{
    uint32_t mark = mark_of(key, len);
    for (size_t i = 0; i < len; i++)
        value[i] = byte_of(mark, version, i);
}

/* The version of the first bytes of a value; 0 if they are not the bytes that were set. */
static unsigned version_of(const unsigned char *value, size_t span, uint64_t key, size_t len)
{
    uint32_t mark = mark_of(key, len);
    unsigned wrong = span == 0 || span > len, version = wrong ? 0 : value[0] & 0x0F;
    for (size_t i = 0; i < span; i++)
        wrong |= value[i] ^ byte_of(mark, version, i);
    return wrong ? 0 : version;
}

/* All powers of two are equally likely: as many values of 1 to 2 bytes as of 4,096 to 8,192. */
static size_t random_len(struct worker *worker)
{
    size_t power = (size_t)1 << below(worker, 13);
    return power + (size_t)below(worker, power + 1);
}

/* ---- keys ---- */

static int is_own(const struct worker *worker, uint64_t key)
{
    return key >= SHARED_KEYS && key % THREADS == worker->number;
}

static uint64_t key_to_read(struct worker *worker)
{
    uint64_t one = below(worker, KEYS), other = below(worker, KEYS);
    return one < other ? one : other;
}

static uint64_t key_to_write(struct worker *worker)
{
    uint64_t key = key_to_read(worker);
    return key < SHARED_KEYS ? key : key - key % THREADS + worker->number;
}

static uint64_t key_of_number(struct worker *worker)
{
    return KEYS + below(worker, NUMBERS);
}

/* ---- what a thread does ---- */

static void tally_status(struct tally *tally, larder_status status)
{
    switch (status) {
    case LARDER_EXISTS: tally->exists++; break;
    case LARDER_TOO_LARGE: tally->too_large++; break;
    case LARDER_NO_MEMORY: tally->no_memory++; break;
    case LARDER_BUFFER_TOO_SMALL: tally->too_short++; break;
    case LARDER_TYPE_MISMATCH: tally->mismatches++; break;
    case LARDER_BUSY: tally->busy++; break;
    default: break;
    }
}

static void tally_lookup(struct tally *tally, larder_status status)
{
    tally_status(tally, status);
    if (status == LARDER_NOT_FOUND)
        tally->misses++;
    else if (status != LARDER_BUSY)
        tally->hits++;
}

typedef larder_status setter(larder_cache *, const void *, size_t, const void *, size_t, uint64_t);
typedef larder_status getter(larder_cache *, const void *, size_t, void *, size_t, size_t *);
typedef larder_status deleter(larder_cache *, const void *, size_t);

static void store(struct worker *worker, setter *set)
{
    uint64_t key = key_to_write(worker);
    uint64_t ttl_ms = below(worker, 4) ? LARDER_TTL_DEFAULT : 1 + below(worker, TTL_MAX_MS);
    unsigned version = 1 + (unsigned)below(worker, VERSIONS);
    size_t len = random_len(worker);
    make_value(worker->value, key, len, version);
    larder_status status = set(worker->cache, &key, sizeof key, worker->value, len, ttl_ms);
    tally_status(&worker->tally, status);
    worker->tally.sets += status == LARDER_OK;
    EXPECT(worker, status == LARDER_OK || status == LARDER_TOO_LARGE || status == LARDER_NO_MEMORY ||
                       (status == LARDER_EXISTS && set == larder_cache_add) ||
                       (status == LARDER_BUSY && set == larder_cache_try_set));
    if (status == LARDER_OK && is_own(worker, key))
        worker->latest[key] = (unsigned char)version;
}

static void read_one(struct worker *worker, getter *get)
{
    uint64_t key = key_to_read(worker);
    size_t capacity = below(worker, 8) ? VALUE_SIZE_MAX : (size_t)below(worker, 64), len = 0;
    larder_status status = get(worker->cache, &key, sizeof key, worker->value, capacity, &len);
    tally_lookup(&worker->tally, status);
    if (status == LARDER_OK) {
        unsigned version = version_of(worker->value, len, key, len);
        EXPECT(worker, version != 0);
        EXPECT(worker, !is_own(worker, key) || version == worker->latest[key]);
    } else if (status == LARDER_BUFFER_TOO_SMALL) {
        EXPECT(worker, len > capacity && len <= VALUE_SIZE_MAX);
    } else {
        EXPECT(worker, status == LARDER_NOT_FOUND || (status == LARDER_BUSY && get == larder_cache_try_get));
    }
}

static void take_out(struct worker *worker, deleter *take)
{
    uint64_t key = key_to_write(worker);
    larder_status status = take(worker->cache, &key, sizeof key);
    tally_status(&worker->tally, status);
    worker->tally.deletes += status == LARDER_OK;
    EXPECT(worker, status == LARDER_OK || status == LARDER_NOT_FOUND ||
                       (status == LARDER_BUSY && take == larder_cache_try_delete));
    if (status == LARDER_OK && is_own(worker, key))
        worker->latest[key] = 0;
}

static void increment(struct worker *worker)
{
    int64_t sum = -1;
    uint64_t key = key_of_number(worker);
    larder_status status = larder_cache_increment(worker->cache, &key, sizeof key, 1, &sum);
    tally_lookup(&worker->tally, status);
    if (status == LARDER_OK) {
        EXPECT(worker, sum > 0 && sum <= (int64_t)THREADS * worker->rounds);
        return;
    }
    EXPECT(worker, status == LARDER_NOT_FOUND);
    status = larder_cache_set_i64(worker->cache, &key, sizeof key, 0, LARDER_TTL_DEFAULT);
    tally_status(&worker->tally, status);
    worker->tally.sets += status == LARDER_OK;
    EXPECT(worker, status == LARDER_OK || status == LARDER_NO_MEMORY);
}

static void touch(struct worker *worker)
{
    uint64_t key = key_to_read(worker);
    uint64_t ttl_ms = below(worker, 2) ? LARDER_TTL_NEVER : 1 + below(worker, TTL_MAX_MS);
    larder_status status = larder_cache_touch(worker->cache, &key, sizeof key, ttl_ms);
    tally_lookup(&worker->tally, status);
    EXPECT(worker, status == LARDER_OK || status == LARDER_NOT_FOUND || status == LARDER_NO_MEMORY);
}

static void ask(struct worker *worker)
{
    uint64_t key = key_to_read(worker), number = key_of_number(worker);
    larder_item_info info;
    int64_t sum;
    EXPECT(worker, larder_cache_contains(worker->cache, &key, sizeof key) <= LARDER_OK);
    if (larder_cache_item_info(worker->cache, &key, sizeof key, &info) == LARDER_OK) {
        EXPECT(worker, info.key_len == sizeof key && info.type == LARDER_TYPE_BYTES);
        EXPECT(worker, info.value_len > 0 && info.value_len <= VALUE_SIZE_MAX);
        EXPECT(worker, info.ttl_ms == LARDER_TTL_NEVER || info.ttl_ms <= TTL_MAX_MS);
    }
    tally_lookup(&worker->tally, larder_cache_get_i64(worker->cache, &number, sizeof number, &sum));
    tally_lookup(&worker->tally, larder_cache_get_i64(worker->cache, &key, sizeof key, &sum));
}

static void optimize(struct worker *worker)
{
    larder_optimize_report report;
    uint32_t step_max = below(worker, 16) ? 1 + (uint32_t)below(worker, 200) : 0;
    larder_status status = larder_cache_optimize(worker->cache, step_max, &report);
    EXPECT(worker, status == LARDER_OK || (status == LARDER_AGAIN && step_max != 0));
}

/* The last thread that sets the limit decides it; in the end usage must be below it. */
static void move_limit(struct worker *worker)
{
    size_t least = worker->region_size / 8 * 5; /* the lowest limit of a shard of 8 KiB */
    size_t limit = below(worker, 2) ? worker->region_size : least + (size_t)below(worker, worker->region_size - least);
    EXPECT(worker, larder_cache_set_memory_limit(worker->cache, limit) == LARDER_OK);
    EXPECT(worker, larder_cache_memory_limit(worker->cache) >= least);
    if (below(worker, 2))
        EXPECT(worker, larder_cache_optimize(worker->cache, 0, NULL) == LARDER_OK);
}

static void look_at_stats(struct worker *worker)
{
    larder_cache_stats_t stats;
    larder_class_stats of_class;
    stats.struct_size = (uint32_t)sizeof stats;
    of_class.struct_size = (uint32_t)sizeof of_class;
    EXPECT(worker, larder_cache_stats(worker->cache, &stats) == LARDER_OK);
    EXPECT(worker, stats.region_bytes == worker->region_size);
    EXPECT(worker, stats.payload_bytes + stats.free_bytes + stats.overhead_bytes == stats.region_bytes);
    EXPECT(worker, stats.total_used <= stats.region_bytes && stats.total_used <= stats.peak_used);
    EXPECT(worker, larder_cache_class_stats(worker->cache, 0, &of_class) == LARDER_OK);
    EXPECT(worker,
           of_class.live_bytes + of_class.free_bytes + of_class.waste_bytes == of_class.pages * stats.page_size);
}

static int32_t visit(void *ctx, const larder_item_info *item)
{
    struct worker *worker = (struct worker *)ctx;
    uint64_t key = KEYS + NUMBERS;
    if (EXPECT(worker, item->key_len == sizeof key))
        memcpy(&key, item->key, sizeof key);
    if (key < KEYS)
        EXPECT(worker, version_of((const unsigned char *)item->value, item->span_len, key, item->value_len) != 0);
    else
        EXPECT(worker, key < KEYS + NUMBERS && item->value_len == 8 && item->type == LARDER_TYPE_I64);
    return below(worker, 200) == 0;
}

static void scan(struct worker *worker)
{
    larder_cursor cursor = {0};
    larder_status status;
    do
        status = larder_cache_scan(worker->cache, &cursor, visit, worker);
    while (status == LARDER_AGAIN);
    EXPECT(worker, status == LARDER_OK);
}

static void do_one(struct worker *worker)
{
    uint64_t dice = below(worker, 2000);
    if (dice < 600)
        read_one(worker, larder_cache_get);
    else if (dice < 850)
        store(worker, larder_cache_set);
    else if (dice < 1000)
        store(worker, larder_cache_add);
    else if (dice < 1100)
        take_out(worker, larder_cache_delete);
    else if (dice < 1300)
        read_one(worker, larder_cache_try_get);
    else if (dice < 1450)
        store(worker, larder_cache_try_set);
    else if (dice < 1500)
        take_out(worker, larder_cache_try_delete);
    else if (dice < 1650)
        increment(worker);
    else if (dice < 1800)
        touch(worker);
    else if (dice < 1950)
        ask(worker);
    else if (dice < 1970)
        optimize(worker);
    else if (dice < 1980)
        move_limit(worker);
    else if (dice < 1990)
        look_at_stats(worker);
    else if (dice < 1999)
        scan(worker);
    else
        EXPECT(worker, larder_cache_check(worker->cache) == LARDER_OK);
}

/* ---- locks and events of the host's ---- */

static int32_t mutex_lock(void *ctx)
{
    return pthread_mutex_lock((pthread_mutex_t *)ctx);
}

static int32_t mutex_try_lock(void *ctx)
{
    return pthread_mutex_trylock((pthread_mutex_t *)ctx);
}

static void mutex_unlock(void *ctx)
{
    pthread_mutex_unlock((pthread_mutex_t *)ctx);
}

/* The library calls one callback at a time. The lock is for checkers that cannot detect that. */
struct events {
    pthread_mutex_t lock;
    uint64_t evicted, expired;
};

static void note_event(void *ctx, const larder_event *event)
{
    struct events *events = (struct events *)ctx;
    pthread_mutex_lock(&events->lock);
    if (event->kind == LARDER_EVENT_EVICTED)
        events->evicted += event->items;
    else
        events->expired += event->items;
    pthread_mutex_unlock(&events->lock);
}

/* ---- threads ---- */

static void *work_on_all(void *ctx)
{
    struct worker *worker = (struct worker *)ctx;
    for (int i = 0; i < worker->rounds; i++)
        do_one(worker);
    return NULL;
}

/* Runs a function in four threads, waits for them, and adds up what they checked and counted. */
static struct tally run_threads(larder_cache *cache, size_t region_size, int rounds, void *(*work)(void *))
{
    static struct worker workers[THREADS];
    struct tally sum;
    memset(workers, 0, sizeof workers);
    memset(&sum, 0, sizeof sum);
    for (unsigned i = 0; i < THREADS; i++) {
        struct worker *worker = &workers[i];
        worker->cache = cache;
        worker->region_size = region_size;
        worker->number = i;
        worker->rounds = rounds;
        worker->random = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        if (!CHECK(pthread_create(&worker->thread, NULL, work, worker) == 0))
            exit(check_end("cut short"));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        const struct tally *tally = &workers[i].tally;
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
        check_failed += workers[i].failures;
        check_passed += workers[i].checks - workers[i].failures;
        sum.hits += tally->hits;
        sum.misses += tally->misses;
        sum.sets += tally->sets;
        sum.deletes += tally->deletes;
        sum.exists += tally->exists;
        sum.too_large += tally->too_large;
        sum.no_memory += tally->no_memory;
        sum.too_short += tally->too_short;
        sum.mismatches += tally->mismatches;
        sum.busy += tally->busy;
    }
    return sum;
}

struct variant {
    uint32_t shards;
    int hooks;
    size_t size;
};

static larder_cache_config config_of(const struct variant *variant, pthread_mutex_t *mutex)
{
    larder_cache_config config = config_default();
    config.shards = variant->shards;
    if (variant->hooks) {
        config.lock = mutex_lock;
        config.unlock = mutex_unlock;
        config.try_lock = mutex_try_lock;
        config.lock_ctx = mutex;
    }
    return config;
}

static void start_monitor(larder_monitor *monitor, larder_cache *cache)
{
    larder_monitor_config config;
    CHECK_STATUS(larder_monitor_config_init(&config, sizeof config), LARDER_OK);
    config.interval_ms = MONITOR_INTERVAL_MS;
    config.step_max = 500;
    CHECK_STATUS(larder_monitor_init(monitor, cache, &config), LARDER_OK);
    CHECK_STATUS(larder_monitor_start(monitor), LARDER_OK);
}

/* Checks that the counters add up: every item was stored by a set, and removed in one of three ways. */
static void check_counters(const larder_cache *cache, const struct tally *tally)
{
    larder_cache_stats_t stats = stats_of(cache);
    CHECK(stats.hits == tally->hits && stats.misses == tally->misses);
    CHECK(stats.sets == tally->sets);
    CHECK(stats.deletes == tally->deletes);
    CHECK(stats.failed_exists == tally->exists);
    CHECK(stats.failed_too_large == tally->too_large);
    CHECK(stats.failed_no_memory == tally->no_memory);
    CHECK(stats.failed_buffer_too_small == tally->too_short);
    CHECK(stats.failed_type_mismatch == tally->mismatches);
    CHECK(stats.failed_busy == tally->busy);
    uint64_t gone = stats.deletes + stats.evictions + stats.expirations;
    CHECK(stats.item_count == stats.sets - stats.updates - gone);
}

static void threads_do_everything_at_once(const struct variant *variant)
{
    struct region region = region_new(variant->size);
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct events events = {PTHREAD_MUTEX_INITIALIZER, 0, 0};
    larder_cache_config config = config_of(variant, &mutex);
    config.on_event = variant->size == SMALL ? note_event : NULL;
    config.event_ctx = &events;
    larder_cache *cache = cache_new(&region, &config);
    larder_monitor monitor;

    start_monitor(&monitor, cache);
    struct tally tally = run_threads(cache, variant->size, check_rounds(20000, 1500), work_on_all);
    CHECK_STATUS(larder_monitor_stop(&monitor), LARDER_OK);

    check_cache(cache, &region);
    check_counters(cache, &tally);
    CHECK(!config.on_event || events.evicted == stats_of(cache).evictions);
    CHECK(!config.on_event || events.expired == stats_of(cache).expirations);
    CHECK_STATUS(larder_cache_optimize(cache, 0, NULL), LARDER_OK);
    CHECK(larder_cache_memory_usage(cache) <= larder_cache_memory_limit(cache));
    check_cache(cache, &region);
    region_free(&region);
}

/* No eviction is necessary here, so no addition may be lost. */
static void *add_up(void *ctx)
{
    struct worker *worker = (struct worker *)ctx;
    for (int i = 0; i < worker->rounds; i++) {
        uint64_t key = key_of_number(worker);
        int64_t sum;
        EXPECT(worker, larder_cache_increment(worker->cache, &key, sizeof key, 1, &sum) == LARDER_OK);
        if (i % 64 == 0)
            optimize(worker);
    }
    return NULL;
}

static void no_addition_is_lost(const struct variant *variant)
{
    struct region region = region_new(variant->size);
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    larder_cache_config config = config_of(variant, &mutex);
    larder_cache *cache = cache_new(&region, &config);
    int rounds = check_rounds(20000, 500);
    int64_t sum = 0, number = 0;
    for (uint64_t key = KEYS; key < KEYS + NUMBERS; key++)
        CHECK_STATUS(larder_cache_set_i64(cache, &key, sizeof key, 0, LARDER_TTL_DEFAULT), LARDER_OK);
    run_threads(cache, variant->size, rounds, add_up);
    for (uint64_t key = KEYS; key < KEYS + NUMBERS; key++) {
        CHECK_STATUS(larder_cache_get_i64(cache, &key, sizeof key, &number), LARDER_OK);
        sum += number;
    }
    CHECK(sum == (int64_t)THREADS * rounds);
    check_cache(cache, &region);
    region_free(&region);
}

int main(int argc, char **argv)
{
    static const uint32_t shards[] = {1, 8};
    static const size_t sizes[] = {SMALL, LARGE};
    int hooks_only = argc > 1 && strcmp(argv[1], "hooks") == 0;
    check_begin(argc, argv);
    check_quick |= hooks_only;
    for (int i = 0; i < 8; i++) {
        struct variant variant = {shards[i & 1], i >> 2, sizes[i >> 1 & 1]};
        char about[64];
        if (hooks_only && !variant.hooks)
            continue;
        snprintf(about, sizeof about, "%d shards, %d KiB", (int)variant.shards, (int)(variant.size / 1024));
        set_context(variant.hooks ? "the host's lock" : "the library's lock", about);
        threads_do_everything_at_once(&variant);
        no_addition_is_lost(&variant);
    }
    return check_end("stress_threads");
}
