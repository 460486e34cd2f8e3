/* bad_input_arena.c: every bad value of every parameter of the arena's calls is refused and changes nothing. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024 };

/* Marks outputs that must stay unwritten. */
static char unwritten;

struct arena_case {
    const char *name;
    size_t size, align;
    larder_status want;
};

static const struct arena_case arena_cases[] = {
    {"size 0", 0, 8, LARDER_INVALID},
    {"align 0", 8, 0, LARDER_INVALID},
    {"align 3", 8, 3, LARDER_INVALID},
    {"align 24", 8, 24, LARDER_INVALID},
    {"align SIZE_MAX", 8, SIZE_MAX, LARDER_INVALID},
    {"size 0, align 0", 0, 0, LARDER_INVALID},
    {"align above the address space's half", 8, SIZE_MAX / 2 + 1, ANY_ERROR},
    {"size SIZE_MAX", SIZE_MAX, 1, LARDER_TOO_LARGE},
    {"size SIZE_MAX, align 4096", SIZE_MAX, 4096, LARDER_TOO_LARGE},
    {"size SIZE_MAX - 15", SIZE_MAX - 15, 16, LARDER_TOO_LARGE},
    {"size SIZE_MAX / 2 + 1", SIZE_MAX / 2 + 1, 1, LARDER_TOO_LARGE},
    {"size above the region's", REGION_SIZE + 1, 1, LARDER_TOO_LARGE},
    {"not enough left", REGION_SIZE / 2, 1, LARDER_NO_MEMORY},
};

static void arena_calls(void)
{
    struct region region = region_new(REGION_SIZE), second = region_new(4096);
    larder_arena *arena = NULL;
    larder_arena_stats_t before, after;
    void *block = &unwritten;
    set_context("arena", "setting up");
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    if (!CHECK_STATUS(larder_arena_init(region.memory, region.size, &arena), LARDER_OK))
        return;
    CHECK_STATUS(larder_arena_alloc(arena, REGION_SIZE * 3 / 4, 16, &block), LARDER_OK);
    CHECK_STATUS(larder_arena_stats(arena, &before), LARDER_OK);
    block = &unwritten;

    for (size_t i = 0; i < sizeof arena_cases / sizeof arena_cases[0]; i++) {
        const struct arena_case *c = &arena_cases[i];
        set_context("arena_alloc", c->name);
        CHECK_STATUS(larder_arena_alloc(arena, c->size, c->align, &block), c->want);
        CHECK(block == &unwritten);
    }
    set_context("arena", "NULL and bad memory");
    CHECK_STATUS(larder_arena_alloc(NULL, 8, 8, &block), LARDER_INVALID);
    CHECK_STATUS(larder_arena_alloc(arena, 8, 8, NULL), LARDER_INVALID);
    CHECK(block == &unwritten);
    CHECK_STATUS(larder_arena_add_region(NULL, second.memory, second.size), LARDER_INVALID);
    CHECK_STATUS(larder_arena_add_region(arena, NULL, second.size), LARDER_INVALID);
    CHECK_STATUS(larder_arena_add_region(arena, second.memory + 1, second.size - 16), LARDER_MISALIGNED);
    CHECK_STATUS(larder_arena_add_region(arena, second.memory + 8, second.size - 16), LARDER_MISALIGNED);
    CHECK_STATUS(larder_arena_add_region(arena, second.memory, 0), LARDER_NO_MEMORY);
    CHECK_STATUS(larder_arena_add_region(arena, second.memory, SIZE_MAX), ANY_ERROR);
    CHECK(all_bytes_are(second.memory, second.size, DIRT_BYTE));
    CHECK_STATUS(larder_arena_reset(NULL), LARDER_INVALID);
    CHECK_STATUS(larder_arena_stats(NULL, &after), LARDER_INVALID);
    CHECK_STATUS(larder_arena_stats(arena, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_arena_stats(NULL, NULL), LARDER_INVALID);
    CHECK(all_bytes_are(&after, sizeof after, 0));

    CHECK_STATUS(larder_arena_stats(arena, &after), LARDER_OK);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    region_free(&second);
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    arena_calls();
    return check_end("bad_input_arena");
}
