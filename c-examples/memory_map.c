/* memory_map.c: a picture of a cache's region, a cell for each page, before larder_cache_optimize and after it.
 *
 * Build:  cc -std=c11 c-examples/memory_map.c -Iinclude target/lib/liblarder.a -lpthread -lm
 * Usage:  memory_map [--region BYTES] [--width PAGES]        1M and 32 by default
 *
 * Values of 16 to 1,023 bytes, log-uniform, a quarter of them with a TTL of a minute, are set until a quarter
 * more than the region has gone in. Then the older an item, the likelier it is deleted, and the minute passes
 * on a clock of its own: the pages are sparse now, and hold expired items that nobody has met. Optimize takes
 * them out and empties sparse pages into fuller ones. Exit code 1 where the numbers do not add up.
 *
 * On a terminal a cell's colour is its page's class, from red for the smallest slots to violet for the largest,
 * and its height the share of slots used. Elsewhere, or with NO_COLOR set, two maps side by side tell this:
 * letters for the classes, which repeat after 51, and the fill, from : to @. An index page is I, a free page
 * is . where it was used before, and _ where it never was.
 *
 * Prints a legend and, with N for what depends on the version, this twice, and the line about optimize in between:
 *    == before optimize: N items, N pages of N bytes
 *    N lines of the map
 *    class   slot  pages   used   free  live bytes  free bytes waste bytes  evicted
 *        A      N      N      N      N           N           N           N        N     and so on to I
 *           classes      N pages          N bytes      and so on: free pages, fixed, region
 *    == optimize: N items expired, N slots moved, N pages and N bytes freed
 */
#define _POSIX_C_SOURCE 200809L

#include "example.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define TTL_MS (UINT64_C(60) * 1000)
#define VALUE_SIZE_MAX 1024
#define CLASSES_MAX 256
#define LEVELS 8
#define WHITE 231
#define GREY 242

static uint64_t clock_now_ms;

/* How the map is drawn, and what the library told last. */
struct map {
    bool colours;
    const char *const *levels;
    uint32_t width;
    const larder_cache *cache;
    larder_cache_stats_t stats;
    larder_class_stats classes[CLASSES_MAX];
    uint32_t class_count;
};

static uint64_t read_clock(void *ctx)
{
    return *(const uint64_t *)ctx;
}

/* ---- cells ---- */

static bool is_index(const struct map *map, uint32_t class_index)
{
    return map->classes[class_index].kind == LARDER_CLASS_INDEX;
}

/* From red to violet, strong and pale in turn; a class takes the one of its place among all. */
static int colour_of(const struct map *map, uint32_t class_index)
{
    static const int hues[] = { 196, 217, 202, 216, 214, 223, 226, 230, 118, 193, 46,  157,
                                49,  159, 45,  153, 33,  111, 63,  147, 129, 183, 201, 225 };
    size_t count = sizeof hues / sizeof hues[0];
    return is_index(map, class_index) ? WHITE : hues[class_index * count / map->class_count];
}

static void put_glyph(const struct map *map, int colour, const char *glyph)
{
    if (map->colours)
        printf("\033[38;5;%dm%s\033[0m", colour, glyph);
    else
        fputs(glyph, stdout);
}

static void put_letter(const struct map *map, uint32_t class_index)
{
    static const char letters[] = "ABCDEFGHJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char letter[] = "I";
    if (!is_index(map, class_index))
        letter[0] = letters[class_index % (sizeof letters - 1)];
    put_glyph(map, colour_of(map, class_index), letter);
}

static void put_page(const struct map *map, uint32_t number, bool letters)
{
    larder_page_info page;
    must(larder_cache_page_info(map->cache, number, &page), "larder_cache_page_info");
    if (page.class_index == LARDER_PAGE_FREE) {
        put_glyph(map, GREY, page.touched != 0 ? "." : "_");
    } else if (letters || is_index(map, page.class_index)) {
        put_letter(map, page.class_index);
    } else {
        uint32_t level = page.slots_used == 0 ? 0 : (page.slots_used * LEVELS - 1) / page.slots;
        put_glyph(map, colour_of(map, page.class_index), map->levels[level]);
    }
}

/* ---- what is printed ---- */

static void print_row(const struct map *map, uint32_t first, bool letters)
{
    for (uint32_t i = first; i < first + map->width; i++) {
        if (i < map->stats.page_count)
            put_page(map, i, letters);
        else if (letters)
            putchar(' '); /* keeps the map beside this one straight */
    }
}

static void print_map(const struct map *map)
{
    for (uint32_t first = 0; first < map->stats.page_count; first += map->width) {
        if (!map->colours) {
            print_row(map, first, true);
            fputs("    ", stdout);
        }
        print_row(map, first, false);
        putchar('\n');
    }
}

static void print_classes(const struct map *map)
{
    printf("class %6s %6s %6s %6s %11s %11s %11s %8s\n", "slot", "pages", "used", "free", "live bytes", "free bytes",
           "waste bytes", "evicted");
    for (uint32_t i = 0; i < map->class_count; i++) {
        const larder_class_stats *class = &map->classes[i];
        if (class->pages == 0)
            continue;
        fputs("    ", stdout);
        put_letter(map, i);
        printf(" %6" PRIu64 " %6" PRIu64 " %6" PRIu64 " %6" PRIu64 " %11" PRIu64 " %11" PRIu64 " %11" PRIu64
               " %8" PRIu64 "\n",
               class->slot_size, class->pages, class->slots_used, class->slots_free, class->live_bytes,
               class->free_bytes, class->waste_bytes, class->evictions);
    }
}

static void print_and_check_totals(const struct map *map)
{
    const larder_cache_stats_t *stats = &map->stats;
    uint64_t page_size = stats->page_size, pages = 0, live = 0, unused = 0, waste = 0, evictions = 0;
    for (uint32_t i = 0; i < map->class_count; i++) {
        const larder_class_stats *class = &map->classes[i];
        require(class->live_bytes + class->free_bytes + class->waste_bytes == class->pages * page_size,
                "live, free and waste bytes of a class are its pages");
        pages += class->pages;
        live += class->live_bytes;
        unused += class->free_bytes;
        waste += class->waste_bytes;
        evictions += class->evictions;
    }
    uint64_t fixed = stats->overhead_bytes - waste; /* all overhead is in pages of classes, or fixed at the start */
    printf("%14s %6" PRIu64 " pages %10" PRIu64 " bytes\n", "classes", pages, pages * page_size);
    printf("%14s %6" PRIu32 " pages %10" PRIu64 " bytes\n", "free pages", stats->pages_free,
           stats->pages_free * page_size);
    printf("%14s %23" PRIu64 " bytes\n", "fixed", fixed);
    printf("%14s %23" PRIu64 " bytes\n", "region", stats->region_bytes);
    require(pages + stats->pages_free == stats->page_count, "a page is free or of one class");
    require((pages + stats->pages_free) * page_size + fixed == stats->region_bytes,
            "classes, free pages and fixed parts are the region");
    require(live == stats->payload_bytes, "live bytes of all classes are the payload");
    require(unused + stats->pages_free * page_size == stats->free_bytes, "free slots and free pages are what is free");
    require(evictions == stats->evictions, "evictions of all classes are the cache's");
}

static void look(struct map *map)
{
    map->stats = stats_of(map->cache);
    for (map->class_count = 0;; map->class_count++) {
        larder_class_stats class = LARDER_CLASS_STATS_INIT;
        larder_status status = larder_cache_class_stats(map->cache, map->class_count, &class);
        if (status == LARDER_NOT_FOUND)
            break;
        must(status, "larder_cache_class_stats");
        require(map->class_count < CLASSES_MAX, "there are at most 256 classes");
        map->classes[map->class_count] = class;
    }
    require(map->class_count > 0, "every cache has classes");
}

static void show(struct map *map, const char *title)
{
    look(map);
    printf("== %s: %" PRIu64 " items, %" PRIu32 " pages of %" PRIu32 " bytes\n", title, map->stats.item_count,
           map->stats.page_count, map->stats.page_size);
    print_map(map);
    print_classes(map);
    print_and_check_totals(map);
}

/* What the cells mean; the table under the map names its letters. */
static void print_legend(const struct map *map)
{
    puts("A cell is a page; rows go from the start of the region to its end.");
    if (map->colours)
        puts("Its colour is its class, as in the table: red for the smallest slots, violet for the largest.");
    else
        puts("Left, its class, as in the table: A has the smallest slots. Right, how full the same page is.");
    printf("Share of its slots in use, from an eighth to all:");
    for (int level = 0; level < LEVELS; level++)
        printf("  %s", map->levels[level]);
    putchar('\n');
    puts("I: a page of the index    .: free, used before    _: free, never used\n");
}

static struct map map_new(const larder_cache *cache, uint32_t width)
{
    static const char *const ascii[LEVELS] = { ":", "-", "=", "+", "*", "#", "%", "@" };
    static const char *const eighths[LEVELS] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    const char *no_color = getenv("NO_COLOR");
    bool terminal = isatty(STDOUT_FILENO) != 0;
    bool utf8 = terminal && setlocale(LC_CTYPE, "") != NULL && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    struct map map = { .levels = utf8 ? eighths : ascii, .width = width, .cache = cache };
    map.colours = terminal && (no_color == NULL || *no_color == '\0');
    return map;
}

/* ---- the workload ---- */

/* Sets the keys 0, 1 and so on; returns how many. */
static uint32_t fill(larder_cache *cache, uint64_t bytes)
{
    static const unsigned char value[VALUE_SIZE_MAX];
    uint64_t random = 1;
    uint32_t id = 0;
    for (uint64_t sum = 0; sum < bytes; id++) {
        size_t size = (size_t)exp2(4 + 6 * unit_interval(random_next(&random)));
        uint64_t ttl_ms = id % 4 == 0 ? TTL_MS : LARDER_TTL_NEVER;
        must(larder_cache_set(cache, &id, sizeof id, value, size, ttl_ms), "larder_cache_set");
        sum += sizeof id + size;
    }
    return id;
}

static void make_sparse(larder_cache *cache, uint32_t count)
{
    uint64_t random = 2;
    for (uint32_t id = 0; id < count; id++) {
        double age = 1 - (double)id / count;
        if (unit_interval(random_next(&random)) >= age)
            continue;
        larder_status status = larder_cache_delete(cache, &id, sizeof id);
        if (status != LARDER_NOT_FOUND) /* evicted by a later set */
            must(status, "larder_cache_delete");
    }
    clock_now_ms += TTL_MS + 1000; /* a second more than needed: the cache may round a TTL up */
}

static void run(size_t region_size, uint32_t width)
{
    void *region = region_new(region_size);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.now_ms = read_clock;
    config.now_ctx = &clock_now_ms;
    larder_cache *cache;
    must(larder_cache_init(region, region_size, &config, &cache), "larder_cache_init");
    make_sparse(cache, fill(cache, region_size + region_size / 4));

    struct map map = map_new(cache, width);
    print_legend(&map);
    show(&map, "before optimize");
    larder_optimize_report report;
    must(larder_cache_optimize(cache, 0, &report), "larder_cache_optimize");
    printf("== optimize: %" PRIu64 " items expired, %" PRIu64 " slots moved, %" PRIu64 " pages and %" PRIu64
           " bytes freed\n",
           report.items_expired, report.items_moved, report.pages_freed, report.bytes_freed);
    show(&map, "after optimize");
    must(larder_cache_check(cache), "larder_cache_check");
    free(region);
}

int main(int argc, char **argv)
{
    uint64_t region_size = 1 << 20, width = 32;
    const struct program_option options[] = {
        { "region", &region_size, 1 << 16, 1 << 30, NULL },
        { "width", &width, 1, 1000, NULL },
    };
    read_arguments(argc, argv,
                   "usage: memory_map [--region BYTES] [--width PAGES]\n"
                   "\n"
                   "Draws the pages of a cache, before larder_cache_optimize and after it.\n"
                   "\n"
                   "  --region BYTES    64K to 1G, powers of 1024 (default 1M)\n"
                   "  --width PAGES     pages in a row of the map, 1 to 1000 (default 32)\n",
                   options, 2, NULL);
    run((size_t)(region_size - region_size % LARDER_ALIGN), (uint32_t)width);
    return EXIT_SUCCESS;
}
