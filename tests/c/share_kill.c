/* share_kill.c: processes that share a cache are killed at random, again and again. Every value that a call had
 * answered for is there, and no other; no survivor hangs.
 *
 * share_kill [KILLS [PROCESSES]]: ends after so many kills (1,000), the processes taking turns from 2 to 8 where no
 * number is given.
 *
 * Each worker has keys of its own, which it sets and deletes, each time as the next version of the key; which version
 * it is about to write, and which was answered for, lies in a journal beside the cache. Any worker reads any key, and
 * what it reads has to be of a version between the two. At the end the same happens in a cache that is too small for
 * all: nothing is missed there, but no value is wrong. */
#define _GNU_SOURCE
#include "share.h"

/* What several processes write. */
#define LOAD(at) __atomic_load_n(at, __ATOMIC_SEQ_CST)
#define STORE(at, value) __atomic_store_n(at, value, __ATOMIC_SEQ_CST)
#define ADD(at, value) __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST)

enum {
    SIZE = 24 << 20,
    SMALL = 1 << 20,
    SHARDS = 4,
    WORKERS_MAX = 8,
    KEYS = 400,
    VALUE_MAX = 40000,
    DELETE_EVERY = 7,
    SPANS_MAX = 200,
    KILLS = 1000,
    ROUND = 100
};

struct journal {
    uint32_t meant[WORKERS_MAX][KEYS], answered[WORKERS_MAX][KEYS];
    uint64_t calls, longest_ns, died_ns;
    uint32_t waits;
    uint32_t wrong, lost, failed;
    int stop;
};

static struct journal *journal;
static size_t size = SIZE;
static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % bound);
}

/* ---- values ---- */

static uint32_t value_len(uint32_t key, uint32_t version)
{
    uint32_t mixed = (key * 2654435761u) ^ (version * 40503u);
    if (mixed % 64 == 0)
        return 8 + mixed / 64 % (VALUE_MAX - 8);
    return 8 + mixed / 64 % (version % 3 ? 56 : 1000);
}

static int is_delete(uint32_t version)
{
    return version % DELETE_EVERY == 0;
}

static void value_write(unsigned char *value, uint32_t key, uint32_t version)
{
    uint32_t len = value_len(key, version);
    memcpy(value, &key, 4);
    memcpy(value + 4, &version, 4);
    for (uint32_t i = 8; i < len; i++)
        value[i] = (unsigned char)(key + version * 31 + i);
}

/* The version of a value; 0 where it is nobody's. */
static uint32_t value_version(const unsigned char *value, size_t len, uint32_t key)
{
    static unsigned char want[VALUE_MAX];
    uint32_t version;
    if (len < 8)
        return 0;
    memcpy(&version, value + 4, 4);
    if (len != value_len(key, version))
        return 0;
    value_write(want, key, version);
    return memcmp(want, value, len) == 0 ? version : 0;
}

/* ---- workers ---- */

static void timed(uint64_t from)
{
    uint64_t took = share_now_ns() - from, longest = LOAD(&journal->longest_ns);
    while (took > longest && !__atomic_compare_exchange_n(&journal->longest_ns, &longest, took, 1, __ATOMIC_SEQ_CST,
                                                          __ATOMIC_SEQ_CST)) {
    }
    ADD(&journal->calls, 1);
}

static void expect(larder_status status, larder_status want)
{
    /* Where there is little room, what is held may leave too little. */
    if (status == want || (size == SMALL && status == LARDER_NO_MEMORY))
        return;
    ADD(&journal->failed, 1);
    fprintf(stderr, "a call answers %s\n", larder_strerror(status));
}

static larder_status store(larder_cache *cache, uint32_t key, uint32_t version, const unsigned char *value)
{
    uint32_t len = value_len(key, version);
    if (version % 5)
        return larder_cache_set(cache, &key, sizeof key, value, len, LARDER_TTL_DEFAULT);
    larder_reservation reservation;
    larder_span spans[SPANS_MAX];
    size_t count, at = 0;
    larder_status status = larder_cache_reserve(cache, &key, sizeof key, len, LARDER_TTL_DEFAULT, &reservation);
    if (status != LARDER_OK)
        return status;
    expect(larder_cache_reservation_spans(cache, &reservation, spans, SPANS_MAX, &count), LARDER_OK);
    for (size_t i = 0; i < count; i++) {
        memcpy(spans[i].data, value + at, spans[i].len);
        at += spans[i].len;
    }
    return larder_cache_commit(cache, &reservation);
}

static void change(larder_cache *cache, uint32_t worker)
{
    static unsigned char value[VALUE_MAX];
    uint32_t number = random_below(KEYS), key = worker * KEYS + number;
    uint32_t version = LOAD(&journal->meant[worker][number]) + 1;
    value_write(value, key, version);
    STORE(&journal->meant[worker][number], version);
    uint64_t from = share_now_ns();
    if (is_delete(version)) {
        larder_status status = larder_cache_delete(cache, &key, sizeof key);
        expect(status == LARDER_NOT_FOUND ? LARDER_OK : status, LARDER_OK);
    } else {
        expect(store(cache, key, version, value), LARDER_OK);
    }
    timed(from);
    STORE(&journal->answered[worker][number], version);
}

/* Whether a version can be what a reader finds; 0 stands for none. */
static void judge(uint32_t found, uint32_t answered, uint32_t meant)
{
    if (found == 0 && size == SMALL)
        return;
    if (found == 0) {
        for (uint32_t version = answered; version <= meant; version++)
            if (version == 0 || is_delete(version))
                return;
        ADD(&journal->lost, 1);
    } else if (found < answered || found > meant || is_delete(found)) {
        ADD(&journal->wrong, 1);
    }
}

static void look(larder_cache *cache)
{
    static unsigned char value[VALUE_MAX];
    uint32_t worker = random_below(WORKERS_MAX), number = random_below(KEYS), key = worker * KEYS + number;
    uint32_t answered = LOAD(&journal->answered[worker][number]), version = 0;
    size_t len = 0;
    larder_view view;
    int views = random_below(8) == 0;
    uint64_t from = share_now_ns();
    larder_status status = views ? larder_cache_pin(cache, &key, sizeof key, &view)
                                 : larder_cache_get(cache, &key, sizeof key, value, sizeof value, &len);
    timed(from);
    uint32_t meant = LOAD(&journal->meant[worker][number]);
    if (status == LARDER_OK && views) {
        /* Meanwhile others change the key, and are killed. */
        if (random_below(16) == 0)
            usleep(200);
        larder_span spans[SPANS_MAX];
        size_t count;
        expect(larder_cache_view_spans(cache, &view, spans, SPANS_MAX, &count), LARDER_OK);
        for (size_t i = 0; i < count && len + spans[i].len <= sizeof value; i++) {
            memcpy(value + len, spans[i].data, spans[i].len);
            len += spans[i].len;
        }
        expect(larder_cache_unpin(cache, &view), LARDER_OK);
    }
    if (status == LARDER_OK) {
        version = value_version(value, len, key);
        if (version == 0)
            version = UINT32_MAX;
    } else {
        expect(status, LARDER_NOT_FOUND);
    }
    judge(version, answered, meant);
}

static void work(larder_cache *cache, void *memory, const larder_cache_config *config, uint32_t worker)
{
    /* Every second one has the memory at an address of its own. */
    if (worker % 2)
        expect(share_join(share_map_again(memory, size), size, config, &cache), LARDER_OK);
    while (!LOAD(&journal->stop)) {
        uint32_t what = random_below(1000);
        if (what < 400) {
            change(cache, worker);
        } else if (what < 998) {
            look(cache);
        } else if (what == 998) {
            larder_optimize_report report;
            larder_status status = larder_cache_optimize(cache, 50, &report);
            expect(status == LARDER_AGAIN ? LARDER_OK : status, LARDER_OK);
        } else {
            larder_cache_stats_t stats = LARDER_CACHE_STATS_INIT;
            expect(larder_cache_stats(cache, &stats), LARDER_OK);
        }
    }
    _exit(LOAD(&journal->failed) == 0 ? 0 : 1);
}

/* ---- the parent ---- */

static pid_t start_worker(larder_cache *cache, void *memory, const larder_cache_config *config, uint32_t worker)
{
    uint64_t seed = random_state + 0x9e3779b97f4a7c15u * (random_below(1000000) + 1);
    pid_t child = share_fork();
    if (child == 0) {
        random_state = seed;
        work(cache, memory, config, worker);
    }
    return child;
}

static void kill_at_random(larder_cache *cache, void *memory, const larder_cache_config *config, uint32_t processes,
                           uint32_t kills)
{
    pid_t workers[WORKERS_MAX];
    STORE(&journal->stop, 0);
    for (uint32_t i = 0; i < processes; i++)
        workers[i] = start_worker(cache, memory, config, i);
    for (uint32_t i = 0; i < kills; i++) {
        usleep(random_below(4) == 0 ? random_below(4000) : 300 + random_below(1000));
        uint32_t victim = random_below(processes);
        kill(workers[victim], SIGKILL);
        /* Until its parent has waited for it, a dead process seems to live. */
        if (random_below(3) == 0)
            usleep(random_below(500));
        CHECK(share_wait(workers[victim]) == -SIGKILL);
        if (i % 10 == 0)
            CHECK_STATUS(larder_cache_reap(cache, NULL, NULL), LARDER_OK);
        if (i % 100 == 50)
            CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
        workers[victim] = start_worker(cache, memory, config, victim);
    }
    STORE(&journal->stop, 1);
    for (uint32_t i = 0; i < processes; i++) {
        char about[64];
        int ended = share_wait(workers[i]);
        snprintf(about, sizeof about, "a worker ended by %d (minus its signal: %d is a hang)", ended, -SIGALRM);
        set_context(about, "");
        CHECK(ended == 0);
    }
    set_context("", "");
}

/* The same in a cache that is too small for all. */
static void kill_where_room_is_made(const larder_cache_config *config, uint32_t kills)
{
    size = SMALL;
    void *memory = share_map(size);
    larder_cache *cache = NULL;
    CHECK_STATUS(share_make(memory, size, config, &cache), LARDER_OK);
    for (uint32_t done = 0, round = 0; done < kills; done += ROUND, round++)
        kill_at_random(cache, memory, config, 2 + round % (WORKERS_MAX - 1), ROUND);
    larder_cache_stats_t stats = share_stats(cache);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    CHECK(stats.evictions > 0 && stats.recoveries > 0);
    CHECK(stats.payload_bytes + stats.free_bytes + stats.overhead_bytes == stats.region_bytes);
    printf("share_kill: where items are evicted, %" PRIu64 " deaths in mid-call, %" PRIu64 " evictions, %" PRIu32
           " values wrong\n",
           stats.recoveries, stats.evictions, journal->wrong);
}

/* ---- how long the others wait ---- */

static int die_inside(void *ctx, const larder_item_info *item)
{
    (void)ctx, (void)item;
    while (!LOAD(&journal->waits)) {
    }
    /* By then, who waits sleeps. */
    usleep(2000);
    STORE(&journal->died_ns, share_now_ns());
    raise(SIGKILL);
    return 0;
}

/* Milliseconds from a death inside a shard until another process has made the shard whole and its call is done: of one
 * that waits for the lock, or of one that comes when it is all over. */
static double after_death_ms(larder_cache *cache, int waits)
{
    STORE(&journal->waits, !waits);
    STORE(&journal->died_ns, 0);
    pid_t child = share_fork();
    if (child == 0) {
        larder_cursor cursor = {0};
        larder_cache_scan(cache, &cursor, die_inside, NULL);
        _exit(1);
    }
    if (waits) {
        /* The lock is the child's when it is not to be had. */
        char byte;
        size_t len;
        for (uint32_t key = 0; larder_cache_try_get(cache, &key, sizeof key, &byte, 1, &len) != LARDER_BUSY; key++) {
        }
        STORE(&journal->waits, 1);
    } else {
        CHECK(share_wait(child) == -SIGKILL);
    }
    uint64_t from = share_now_ns();
    CHECK(larder_cache_item_count(cache) > 0);
    uint64_t done = share_now_ns();
    if (waits)
        CHECK(share_wait(child) == -SIGKILL);
    return (double)(done - (waits ? LOAD(&journal->died_ns) : from)) / 1e6;
}

static int by_time(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static void print_waits(larder_cache *cache)
{
    enum { DEATHS = 51 };
    for (int waits = 0; waits < 2; waits++) {
        double took[DEATHS];
        for (int i = 0; i < DEATHS; i++)
            took[i] = after_death_ms(cache, waits);
        qsort(took, DEATHS, sizeof *took, by_time);
        printf("share_kill: after a death inside, who %s has a shard of %" PRIu64 " items in %.2f ms, at most %.2f\n",
               waits ? "waits for it" : "comes later", larder_cache_item_count(cache) / SHARDS, took[DEATHS / 2],
               took[DEATHS - 1]);
    }
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    uint32_t kills = argc > 1 && !check_quick ? (uint32_t)strtoul(argv[1], NULL, 10) : KILLS;
    uint32_t processes = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    if (kills == 0 || processes > WORKERS_MAX || processes == 1) {
        fputs("usage: share_kill [KILLS [2..8]]\n", stderr);
        return 2;
    }
    random_state = (uint64_t)getpid() * 2654435761u + (uint64_t)time(NULL);
    printf("share_kill: seed %" PRIu64 "\n", random_state);
    void *memory = share_map(SIZE);
    journal = share_map(sizeof *journal);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.shards = SHARDS;
    config.policy = random_below(3) == 0 ? LARDER_POLICY_LRU : LARDER_POLICY_DEFAULT;
    config.flags = random_below(2) * LARDER_CHECKSUM;
    if (random_below(3) == 0)
        config.default_ttl_ms = 3600 * 1000;
    printf("share_kill: policy %" PRIu32 ", flags %" PRIu32 ", TTL %" PRIu64 "\n", config.policy, config.flags,
           config.default_ttl_ms);
    larder_cache *cache = NULL;
    CHECK_STATUS(share_make(memory, SIZE, &config, &cache), LARDER_OK);
    for (uint32_t done = 0, round = 0; done < kills; round++) {
        uint32_t now = kills - done < ROUND ? kills - done : ROUND;
        kill_at_random(cache, memory, &config, processes ? processes : 2 + round % (WORKERS_MAX - 1), now);
        done += now;
    }
    for (uint32_t i = 0; i < WORKERS_MAX * KEYS; i++)
        look(cache);
    larder_cache_stats_t stats = share_stats(cache);
    print_waits(cache);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    CHECK_STATUS(larder_cache_reap(cache, NULL, NULL), LARDER_OK);
    CHECK(stats.evictions == 0 && stats.recoveries > 0);
    CHECK(share_stats(cache).views == 0 && share_stats(cache).reservations == 0);
    kill_where_room_is_made(&config, kills / 4 < ROUND ? ROUND : kills / 4);
    CHECK(journal->wrong == 0 && journal->lost == 0 && journal->failed == 0);
    printf("share_kill: %" PRIu32 " kills, %" PRIu64 " in mid-call, %" PRIu64 " calls, %" PRIu32 " values wrong, %"
           PRIu32
           " lost, longest call %.2f ms\n",
           kills, stats.recoveries, journal->calls, journal->wrong, journal->lost, (double)journal->longest_ns / 1e6);
    return check_end("share_kill");
}
