/* calls.c: instructions of single calls on a Cortex-M3 on caches that stay full: the median and the worst of many. Run
 * under `-icount shift=8`, where an instruction takes a fixed time. So the figures are exact, and equal in every run.
 *
 * Prints a line for each call, `figure CALL/REGION MEDIAN WORST`. A set that evicts, one that finds room and one that
 * replaces a value count separately. The figure `beside` is no call. It is the bytes of the region that are neither key
 * nor value, read after each set that evicted. */
#include "check.h"
#include "measure.h"

#include <stdlib.h>
#include <string.h>

#define CALLS 20000
#define KEY_LEN 16
#define VALUE_LEN_MIN 8
#define VALUE_LEN_MAX 127
#define OPTIMIZE_STEPS 8
#define ROUND_MS 20
#define TTL_MS 60000

unsigned checks, checks_failed;

enum kind { GET_HIT, GET_MISS, SET_EVICTING, SET_FITTING, SET_REPLACING, DELETE, OPTIMIZE, BESIDE, KINDS };

static const char *const names[KINDS] = {
    "get-hit", "get-miss", "set-evicting", "set-fitting", "set-replacing", "delete", "optimize-8", "beside",
};

static struct {
    uint32_t count;
    uint32_t figures[CALLS];
} samples[KINDS];

_Alignas(LARDER_ALIGN) static unsigned char region[32 * 1024];
static larder_cache *cache;

/* The workload for a cache of one size. */
struct load {
    const char *name;
    size_t region_size;
    uint32_t keys; /* more than twice as many as fit */
};

static void sample(enum kind kind, const struct call *call)
{
    if (samples[kind].count < CALLS)
        samples[kind].figures[samples[kind].count++] = call_instructions(call);
}

static void sample_beside(const larder_cache_stats_t *stats)
{
    if (samples[BESIDE].count < CALLS)
        samples[BESIDE].figures[samples[BESIDE].count++] = (uint32_t)(stats->region_bytes - stats->payload_bytes);
}

static bool have_enough(void)
{
    for (int kind = 0; kind < KINDS; kind++)
        if (samples[kind].count < CALLS)
            return false;
    return true;
}

static larder_cache_stats_t stats_now(void)
{
    larder_cache_stats_t stats = LARDER_CACHE_STATS_INIT;
    CHECK(larder_cache_stats(cache, &stats) == LARDER_OK);
    return stats;
}

static void key_of(uint32_t number, unsigned char key[KEY_LEN])
{
    memset(key, 'k', KEY_LEN);
    memcpy(key, &number, sizeof number);
}

/* Each byte of a value is its key's number. */
static void set(uint32_t number)
{
    unsigned char key[KEY_LEN], value[VALUE_LEN_MAX];
    size_t len = VALUE_LEN_MIN + random_below(VALUE_LEN_MAX - VALUE_LEN_MIN + 1);
    uint64_t ttl_ms = random_below(4) == 0 ? TTL_MS : LARDER_TTL_NEVER;
    key_of(number, key);
    memset(value, (int)(number & 0xff), len);
    larder_cache_stats_t before = stats_now();
    struct call call = call_set(cache, key, sizeof key, value, len, ttl_ms);
    call_run(&call);
    CHECK(call.status == LARDER_OK);
    larder_cache_stats_t after = stats_now();
    if (after.evictions != before.evictions) {
        sample(SET_EVICTING, &call);
        sample_beside(&after);
    } else {
        sample(after.updates != before.updates ? SET_REPLACING : SET_FITTING, &call);
    }
}

static bool get(uint32_t number)
{
    unsigned char key[KEY_LEN], value[VALUE_LEN_MAX];
    size_t len = 0;
    key_of(number, key);
    struct call call = call_get(cache, key, sizeof key, value, sizeof value, &len);
    call_run(&call);
    if (call.status == LARDER_OK) {
        CHECK(len > 0 && value[0] == (number & 0xff) && value[len - 1] == (number & 0xff));
        sample(GET_HIT, &call);
        return true;
    }
    CHECK(call.status == LARDER_NOT_FOUND);
    sample(GET_MISS, &call);
    return false;
}

static void delete(uint32_t number)
{
    unsigned char key[KEY_LEN];
    key_of(number, key);
    struct call call = call_delete(cache, key, sizeof key);
    call_run(&call);
    if (call.status == LARDER_OK)
        sample(DELETE, &call);
    else
        CHECK(call.status == LARDER_NOT_FOUND);
}

static void optimize(void)
{
    struct call call = call_optimize(cache, OPTIMIZE_STEPS);
    call_run(&call);
    CHECK(call.status == LARDER_OK || call.status == LARDER_AGAIN);
    sample(OPTIMIZE, &call);
}

/* Sets new keys until an item is evicted. */
static void fill(const struct load *load)
{
    uint64_t evictions = stats_now().evictions;
    while (stats_now().evictions == evictions)
        set(random_below(load->keys));
}

/* A random key. Frequent keys are likely to be in the cache. */
static uint32_t likely_key(const struct load *load)
{
    return random_below(1 + random_below(load->keys));
}

static void one_round(const struct load *load, uint64_t now_ms)
{
    CHECK(larder_cache_set_time(cache, now_ms) == LARDER_OK);
    uint32_t number = likely_key(load);
    if (!get(number) || random_below(4) == 0)
        set(number);
    get(load->keys + number); /* a key that is never stored */
    optimize();
    delete(likely_key(load));
    fill(load);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print(const struct load *load)
{
    for (int kind = 0; kind < KINDS; kind++) {
        uint32_t *of = samples[kind].figures;
        qsort(of, CALLS, sizeof *of, by_size);
        printf("figure %s/%s %u %u\n", names[kind], load->name, (unsigned)of[CALLS / 2], (unsigned)of[CALLS - 1]);
    }
}

static void measure(const struct load *load)
{
    memset(samples, 0, sizeof samples);
    CHECK(larder_cache_init(region, load->region_size, NULL, &cache) == LARDER_OK);
    fill(load);
    for (uint64_t round = 0; !have_enough(); round++) {
        one_round(load, round * ROUND_MS);
        if (round % 256 == 0)
            checked_stats(cache);
    }
    checked_stats(cache);
    print(load);
}

int main(void)
{
    static const struct load small = { "4K", 4 * 1024, 80 };
    static const struct load large = { "32K", 32 * 1024, 700 };
    ticks_start();
    measure(&small);
    measure(&large);
    printf("calls: %u passed, %u failed\n", checks - checks_failed, checks_failed);
    return checks_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
