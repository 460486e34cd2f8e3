/* many.c: larder_cache_get_many and larder_cache_set_many against the same number of single calls, by turns on one
 * full cache: the median of the ratios of their times.
 *
 *   many [ITEMS]     default 3,200,000 */
#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { BATCH = 64, BATCHES = 200, TURNS = 41, VALUE_LEN = 64, KEY_MAX = 32, HUGE_PAGE = 2 << 20 };

static unsigned char keys[BATCH][KEY_MAX], buffers[BATCH][VALUE_LEN], value[VALUE_LEN];
static larder_get_request gets[BATCH];
static larder_set_request sets[BATCH];

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Makes a key of 16 to 32 bytes. */
static size_t make_key(uint64_t id, unsigned char key[KEY_MAX])
{
    uint64_t word = mix(id);
    for (int i = 0; i < 4; i++) {
        uint64_t next = mix(word + (uint64_t)i);
        memcpy(key + 8 * i, &next, 8);
    }
    return 16 + (size_t)(word % 17);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[TURNS])
{
    qsort(values, TURNS, sizeof *values, ascending);
    return values[TURNS / 2];
}

static uint64_t next_get, next_set;

static void draw_gets(uint64_t items)
{
    for (int i = 0; i < BATCH; i++) {
        gets[i] = (larder_get_request){ .key = keys[i], .buffer = buffers[i], .capacity = VALUE_LEN };
        gets[i].key_len = make_key(mix(next_get++) % items, keys[i]);
    }
}

static void draw_sets(void)
{
    for (int i = 0; i < BATCH; i++) {
        sets[i] = (larder_set_request){ .key = keys[i], .value = value, .value_len = VALUE_LEN };
        sets[i].key_len = make_key(next_set++, keys[i]);
    }
}

static double single_gets(larder_cache *cache)
{
    double start = seconds();
    for (int i = 0; i < BATCH; i++)
        gets[i].status = larder_cache_get(cache, gets[i].key, gets[i].key_len, buffers[i], VALUE_LEN,
                                          &gets[i].value_len);
    return seconds() - start;
}

static double single_sets(larder_cache *cache)
{
    double start = seconds();
    for (int i = 0; i < BATCH; i++)
        sets[i].status = larder_cache_set(cache, sets[i].key, sets[i].key_len, value, VALUE_LEN, 0);
    return seconds() - start;
}

static double many_gets(larder_cache *cache)
{
    double start = seconds();
    larder_cache_get_many(cache, gets, BATCH);
    return seconds() - start;
}

static double many_sets(larder_cache *cache)
{
    double start = seconds();
    larder_cache_set_many(cache, sets, BATCH);
    return seconds() - start;
}

static double get_ratio(larder_cache *cache, uint64_t items)
{
    double single = 0, many = 0;
    for (int n = 0; n < BATCHES; n++) {
        draw_gets(items);
        single += single_gets(cache);
        draw_gets(items);
        many += many_gets(cache);
    }
    return single / many;
}

static double set_ratio(larder_cache *cache)
{
    double single = 0, many = 0;
    for (int n = 0; n < BATCHES; n++) {
        draw_sets();
        single += single_sets(cache);
        draw_sets();
        many += many_sets(cache);
    }
    return single / many;
}

/* Makes a full cache. `huge`: in huge pages, if the system has them. */
static larder_cache *full_cache(uint64_t items, int huge)
{
    size_t size = ((size_t)items * 112 + 65536 + HUGE_PAGE - 1) & ~((size_t)HUGE_PAGE - 1);
    void *region = aligned_alloc(HUGE_PAGE, size);
    larder_cache *cache;
#ifdef MADV_HUGEPAGE
    if (region != NULL)
        madvise(region, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#else
    (void)huge;
#endif
    if (region == NULL || larder_cache_init(region, size, NULL, &cache) != LARDER_OK)
        exit(EXIT_FAILURE);
    for (next_set = 0; next_set < items; next_set++) {
        size_t key_len = make_key(next_set, keys[0]);
        larder_cache_set(cache, keys[0], key_len, value, VALUE_LEN, 0);
    }
    return cache;
}

static double huge_ratio(larder_cache *plain, larder_cache *huge, uint64_t items)
{
    double times[2] = { 0, 0 };
    for (int n = 0; n < BATCHES; n++) {
        draw_gets(items);
        times[0] += single_gets(plain);
        draw_gets(items);
        times[1] += single_gets(huge);
    }
    return times[0] / times[1];
}

int main(int argc, char **argv)
{
    uint64_t items = argc > 1 ? strtoull(argv[1], NULL, 10) : 3200000;
    larder_cache *cache = full_cache(items, 0);
    double get[TURNS], set[TURNS], huge[TURNS];
    for (int turn = 0; turn < TURNS; turn++) {
        get[turn] = get_ratio(cache, items);
        set[turn] = set_ratio(cache);
    }
    printf("%llu items, batches of %d: get_many %.2f, set_many %.2f times as fast as single calls\n",
           (unsigned long long)items, BATCH, median(get), median(set));
    /* Two caches with the same items. */
    larder_cache *pages[] = { full_cache(items, 0), full_cache(items, 1) };
    for (int turn = 0; turn < TURNS; turn++)
        huge[turn] = huge_ratio(pages[0], pages[1], items);
    printf("%llu items over huge pages: single gets %.2f times as fast\n", (unsigned long long)items, median(huge));
    return EXIT_SUCCESS;
}
