/* calls.c: a fixed sequence of calls on a full cache, whose slowest calls can be counted in instructions.
 *
 *   calls time ITEMS SHAPE          prints "number kind" of the calls to count: the slowest of each kind, and samples
 *   calls count ITEMS SHAPE LIST    under callgrind: dumps the instructions of each call in LIST
 *
 * The time of a call is the shortest of three runs, so that an interruption does not make a call slow. SHAPE is
 * "64" for values of 64 bytes or "mixed" for 8 to 2,000. See calls.sh. */
#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <valgrind/callgrind.h>

enum { CALLS = 200000, RUNS = 3, SLOWEST = 60, SAMPLES = 60, VALUE_MAX = 2000, KINDS = 6 };

static const char *const labels[KINDS][2] = {
    { "get-hit sample", "get-hit slow" },
    { "get-miss sample", "get-miss slow" },
    { "set-new sample", "set-new slow" },
    { "set-over sample", "set-over slow" },
    { "delete-hit sample", "delete-hit slow" },
    { "delete-miss sample", "delete-miss slow" },
};

struct call {
    uint64_t id;
    int kind;
    size_t value_len;
};

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Makes a key of 16 to 32 bytes. */
static size_t make_key(uint64_t id, unsigned char key[32])
{
    uint64_t word = mix(id);
    for (int i = 0; i < 4; i++) {
        uint64_t next = mix(word + (uint64_t)i);
        memcpy(key + 8 * i, &next, 8);
    }
    return 16 + (size_t)(word % 17);
}

static size_t value_len_of(uint64_t id, int mixed)
{
    return mixed ? 8 + (size_t)(mix(id ^ 77) % (VALUE_MAX >> mix(id) % 8)) : 64;
}

/* Half of the gets are for recently set keys, most of which are in the cache. */
static struct call call_number(uint64_t n, uint64_t items, int mixed)
{
    uint64_t random = mix(n * 3 + 1);
    struct call call = { items * 2 + n, (int)(random % 10), 0 };
    if (call.kind < 3)
        call.kind = 0, call.id = items * 2 + n - 1 - mix(random) % (items / 8);
    else if (call.kind < 4)
        call.kind = 1, call.id = mix(random) | (uint64_t)1 << 63;
    else if (call.kind < 9)
        call.kind = 2, call.id -= random >> 32 & 1 ? mix(random) % items : 0;
    else
        call.kind = 3, call.id = items * 2 + n - 1 - mix(random) % (items / 8);
    call.value_len = value_len_of(call.id, mixed);
    return call;
}

static larder_status run(larder_cache *cache, const struct call *call, const unsigned char *key, size_t key_len)
{
    static unsigned char buffer[VALUE_MAX + 8], value[VALUE_MAX + 8];
    size_t len;
    switch (call->kind) {
    case 2:
        return larder_cache_set(cache, key, key_len, value, call->value_len, 0);
    case 3:
        return larder_cache_delete(cache, key, key_len);
    default:
        return larder_cache_get(cache, key, key_len, buffer, sizeof buffer, &len);
    }
}

static larder_cache *full_cache(void *region, size_t size, uint64_t items, int mixed)
{
    larder_cache *cache;
    if (larder_cache_init(region, size, NULL, &cache) != LARDER_OK)
        exit(1);
    unsigned char key[32];
    for (uint64_t id = 0; id < items * 2; id++) {
        size_t key_len = make_key(id, key);
        struct call call = { id, 2, value_len_of(id, mixed) };
        run(cache, &call, key, key_len);
    }
    return cache;
}

/* Whether a set overwrites a value. */
static int is_over(larder_cache *cache, const struct call *call, const unsigned char *key, size_t key_len)
{
    return call->kind == 2 && larder_cache_contains(cache, key, key_len) == LARDER_OK;
}

/* The kind of a call. A get or a delete is a hit or a miss by its status. */
static int kind_of(const struct call *call, int over, larder_status status)
{
    if (call->kind == 2)
        return 2 + over;
    return (call->kind == 3 ? 4 : 0) + (status != LARDER_OK);
}

struct timed {
    uint64_t ns;
    uint32_t number;
    int kind;
};

static int slower_first(const void *a, const void *b)
{
    const struct timed *x = a, *y = b;
    return x->ns != y->ns ? (x->ns < y->ns) - (x->ns > y->ns) : (x->number > y->number) - (x->number < y->number);
}

static void time_calls(void *region, size_t size, uint64_t items, int mixed)
{
    static struct timed times[CALLS];
    for (int repeat = 0; repeat < RUNS; repeat++) {
        larder_cache *cache = full_cache(region, size, items, mixed);
        for (uint32_t n = 0; n < CALLS; n++) {
            struct call call = call_number(n, items, mixed);
            unsigned char key[32];
            size_t key_len = make_key(call.id, key);
            int over = is_over(cache, &call, key, key_len);
            uint64_t start = now_ns();
            larder_status status = run(cache, &call, key, key_len);
            uint64_t ns = now_ns() - start;
            if (repeat == 0 || ns < times[n].ns)
                times[n] = (struct timed){ ns, n, kind_of(&call, over, status) };
        }
    }
    for (int kind = 0; kind < KINDS; kind++) {
        int sampled = 0;
        for (uint32_t n = 0; n < CALLS && sampled < SAMPLES; n++)
            if (times[n].kind == kind && mix(n) % 200 == 0)
                printf("%u sample\n", n), sampled++;
    }
    qsort(times, CALLS, sizeof times[0], slower_first);
    for (int kind = 0; kind < KINDS; kind++) {
        int found = 0;
        for (uint32_t n = 0; n < CALLS && found < SLOWEST; n++)
            if (times[n].kind == kind)
                printf("%u slow\n", times[n].number), found++;
    }
}

static void count_calls(void *region, size_t size, uint64_t items, int mixed, const char *list)
{
    static char reasons[CALLS];
    FILE *file = fopen(list, "r");
    unsigned number;
    char reason[16];
    while (file != NULL && fscanf(file, "%u %15s", &number, reason) == 2)
        if (number < CALLS && reasons[number] == 0)
            reasons[number] = reason[0] == 's' && reason[1] == 'a' ? 1 : 2;
    larder_cache *cache = full_cache(region, size, items, mixed);
    for (uint32_t n = 0; n < CALLS; n++) {
        struct call call = call_number(n, items, mixed);
        unsigned char key[32];
        size_t key_len = make_key(call.id, key);
        if (reasons[n] == 0) {
            run(cache, &call, key, key_len);
            continue;
        }
        int over = is_over(cache, &call, key, key_len);
        CALLGRIND_START_INSTRUMENTATION;
        CALLGRIND_ZERO_STATS;
        larder_status status = run(cache, &call, key, key_len);
        CALLGRIND_DUMP_STATS_AT(labels[kind_of(&call, over, status)][reasons[n] - 1]);
        CALLGRIND_STOP_INSTRUMENTATION;
    }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    uint64_t items = strtoull(argv[2], NULL, 10);
    int mixed = strcmp(argv[3], "mixed") == 0;
    size_t size = (size_t)items * (mixed ? 350 : 112) + 16384;
    size &= ~(size_t)(LARDER_ALIGN - 1);
    void *region = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
    if (strcmp(argv[1], "time") == 0)
        time_calls(region, size, items, mixed);
    else if (argc == 5)
        count_calls(region, size, items, mixed, argv[4]);
    return 0;
}
