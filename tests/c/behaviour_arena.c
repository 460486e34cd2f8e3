/* behaviour_arena.c: the arena allocates memory that is aligned, inside its regions and without overlap. It counts
 * allocations, and a reset frees all of them. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024, SPAN_COUNT_MAX = 4096 };

/* All allocations since the last reset. */
struct spans {
    struct {
        unsigned char *start;
        size_t size;
        unsigned char byte;
    } all[SPAN_COUNT_MAX];
    int count;
    size_t bytes;
};

static struct spans spans;

static void spans_clear(void)
{
    spans.count = 0;
    spans.bytes = 0;
}

/* Records a span and fills it with its own byte, so that spans_check finds an overlap. */
static void spans_add(void *start, size_t size)
{
    if (!CHECK(spans.count < SPAN_COUNT_MAX))
        return;
    unsigned char byte = (unsigned char)(spans.count % 251);
    memset(start, byte, size);
    spans.all[spans.count].start = (unsigned char *)start;
    spans.all[spans.count].size = size;
    spans.all[spans.count].byte = byte;
    spans.count++;
    spans.bytes += size;
}

static void spans_check(void)
{
    int intact = 1;
    for (int i = 0; i < spans.count; i++)
        intact &= all_bytes_are(spans.all[i].start, spans.all[i].size, spans.all[i].byte);
    CHECK(intact);
}

static larder_arena_stats_t stats_of_arena(const larder_arena *arena)
{
    larder_arena_stats_t stats;
    memset(&stats, 0, sizeof stats);
    CHECK_STATUS(larder_arena_stats(arena, &stats), LARDER_OK);
    CHECK(stats.used <= stats.peak && stats.peak <= stats.capacity);
    return stats;
}

static larder_arena *arena_new(const struct region *region)
{
    larder_arena *arena = NULL;
    if (!CHECK_STATUS(larder_arena_init(region->memory, region->size, &arena), LARDER_OK))
        exit(check_end("cut short"));
    return arena;
}

static void allocations_are_aligned_and_apart(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_arena *arena = arena_new(&region);
    larder_arena_stats_t fresh = stats_of_arena(arena);
    CHECK(fresh.allocs == 0 && fresh.resets == 0 && fresh.regions == 1);
    CHECK(fresh.capacity <= REGION_SIZE && fresh.capacity > REGION_SIZE / 2);

    uint64_t random = 1, allocs = 0;
    spans_clear();
    for (int round = 0; round < 3; round++) {
        for (size_t align = 1; align <= 4096; align *= 2) {
            size_t size = 1 + (size_t)(next_random(&random) % 60);
            void *block = NULL;
            CHECK_STATUS(larder_arena_alloc(arena, size, align, &block), LARDER_OK);
            CHECK((uintptr_t)block % align == 0);
            CHECK(region_has(&region, block, size));
            spans_add(block, size);
            allocs++;
            larder_arena_stats_t stats = stats_of_arena(arena);
            CHECK(stats.allocs == allocs);
            CHECK(stats.used >= fresh.used + spans.bytes);
        }
    }
    spans_check();
    region_free(&region);
}

static int fill(larder_arena *arena, size_t size, size_t align)
{
    int count = 0;
    void *block = &count;
    larder_status status;
    while ((status = larder_arena_alloc(arena, size, align, &block)) == LARDER_OK) {
        spans_add(block, size);
        block = &count;
        count++;
    }
    CHECK_STATUS(status, LARDER_NO_MEMORY);
    CHECK(block == (void *)&count);
    return count;
}

static void reset_gives_everything_back(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_arena *arena = arena_new(&region);
    larder_arena_stats_t fresh = stats_of_arena(arena);
    int first_count = 0;
    for (uint64_t round = 1; round <= 5; round++) {
        spans_clear();
        int count = fill(arena, 100, 1);
        spans_check();
        if (round == 1)
            first_count = count;
        CHECK(count == first_count);
        CHECK(count >= REGION_SIZE / 100 * 9 / 10);
        larder_arena_stats_t full = stats_of_arena(arena);
        CHECK(full.peak >= full.used && full.used >= (size_t)count * 100);
        CHECK_STATUS(larder_arena_reset(arena), LARDER_OK);
        larder_arena_stats_t empty = stats_of_arena(arena);
        CHECK(empty.used == fresh.used && empty.capacity == fresh.capacity);
        CHECK(empty.peak == full.peak);
        CHECK(empty.resets == round);
    }
    region_free(&region);
}

static void further_regions_are_used(void)
{
    struct region regions[3] = {region_new(4096), region_new(16384), region_new(8192)};
    larder_arena *arena = arena_new(&regions[0]);
    void *block = NULL;
    CHECK_STATUS(larder_arena_alloc(arena, 10000, 16, &block), LARDER_TOO_LARGE);
    for (uint32_t i = 1; i < 3; i++) {
        size_t capacity = stats_of_arena(arena).capacity;
        CHECK_STATUS(larder_arena_add_region(arena, regions[i].memory, regions[i].size), LARDER_OK);
        larder_arena_stats_t stats = stats_of_arena(arena);
        CHECK(stats.regions == i + 1);
        CHECK(stats.capacity > capacity && stats.capacity <= capacity + regions[i].size);
    }
    spans_clear();
    CHECK_STATUS(larder_arena_alloc(arena, 10000, 16, &block), LARDER_OK);
    CHECK(region_has(&regions[1], block, 10000));
    CHECK_STATUS(larder_arena_reset(arena), LARDER_OK);

    for (int round = 0; round < 2; round++) {
        int in_region[3] = {0, 0, 0};
        spans_clear();
        fill(arena, 64, 16);
        spans_check();
        for (int i = 0; i < spans.count; i++) {
            int found = 0;
            for (int r = 0; r < 3; r++) {
                int has = region_has(&regions[r], spans.all[i].start, spans.all[i].size);
                in_region[r] += has;
                found += has;
            }
            CHECK(found == 1);
        }
        CHECK(in_region[0] > 0 && in_region[1] > 0 && in_region[2] > 0);
        CHECK_STATUS(larder_arena_reset(arena), LARDER_OK);
    }
    for (int r = 0; r < 3; r++)
        region_free(&regions[r]);
}

/* Random sizes and alignments until no allocation fits. */
static void random_allocations_stay_apart(void)
{
    uint64_t random = 42;
    struct region region = region_new(REGION_SIZE);
    larder_arena *arena = arena_new(&region);
    for (int round = 0; round < check_rounds(50, 5); round++) {
        spans_clear();
        for (;;) {
            size_t size = 1 + (size_t)(next_random(&random) % 300);
            size_t align = (size_t)1 << next_random(&random) % 8;
            void *block = NULL;
            larder_status status = larder_arena_alloc(arena, size, align, &block);
            if (status != LARDER_OK) {
                CHECK_STATUS(status, LARDER_NO_MEMORY);
                break;
            }
            CHECK((uintptr_t)block % align == 0 && region_has(&region, block, size));
            spans_add(block, size);
        }
        spans_check();
        CHECK(spans.bytes > REGION_SIZE / 2);
        CHECK_STATUS(larder_arena_reset(arena), LARDER_OK);
    }
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    allocations_are_aligned_and_apart();
    reset_gives_everything_back();
    further_regions_are_used();
    random_allocations_stay_apart();
    return check_end("behaviour_arena");
}
