/* memory_map.c: a picture of a cache's region, a cell for each page, before larder_cache_optimize and after it.
 *
 * Build:  cc -std=c11 c-examples/memory_map.c -Iinclude target/lib/liblarder.a -lpthread -lm
 * Usage:  memory_map [--region BYTES] [--width PAGES] [--svg FILE]        1M and 32 by default
 *
 * Values of 16 to 1,023 bytes, log-uniform, are set until their sum is 1.25 times the region; a quarter of them have a
 * TTL of a minute, and a third are read once. Then items are deleted, older ones with a higher probability, and the
 * program's own clock advances by the minute. Now many bytes are dead, and expired items are between others. Optimize
 * removes the expired items, and copies live items out of pages with dead bytes. Exit code 1 if the numbers do not add
 * up.
 *
 * On a terminal a cell's colour is its page's owner, and its height the share of live bytes. Elsewhere, or with
 * NO_COLOR set, there are two maps side by side: letters for the owners (W window, M main, I index), and the live
 * share, from : to @. A free page is . if it was used before, and _ if it never was. The part missing in a full cell is
 * dead: bytes of removed items. Under the map, each owner's bytes are drawn in one bar: # live, x dead, . not used yet.
 * --svg draws both maps into a file, too.
 *
 * Prints a legend and, with N for what depends on the version, this twice, and the line about optimize in between:
 *    == before optimize: N items, N pages of N bytes
 *    N lines of the map
 *    owner    pages  items  live bytes  dead bytes  free bytes  evicted
 *    W window     N      N           N           N           N        N  ####xx.
 *    M main, I index, . free: the same
 *      fixed  N bytes     and so on: region
 *    == optimize: N items expired, N items copied, N pages and N bytes freed
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
#define OWNERS (LARDER_OWNER_FREE + 1)
#define LEVELS 8
#define BAR 32
#define DEAD_COLOUR 196
#define GREY 242

static uint64_t clock_now_ms;

static const struct {
    const char *letter, *name;
    int colour;
} owners[OWNERS] = {
    [LARDER_OWNER_WINDOW] = { "W", "window", 45 },
    [LARDER_OWNER_MAIN] = { "M", "main", 118 },
    [LARDER_OWNER_INDEX] = { "I", "index", 231 },
    [LARDER_OWNER_FREE] = { ".", "free", GREY },
};

/* The map's options, and the library's last statistics. */
struct map {
    bool colours;
    const char *const *levels;
    uint32_t width;
    const larder_cache *cache;
    larder_cache_stats_t stats;
    larder_class_stats owned[OWNERS];
};

static uint64_t read_clock(void *ctx)
{
    return *(const uint64_t *)ctx;
}

/* ---- cells ---- */

static void put_glyph(const struct map *map, int colour, const char *glyph)
{
    if (map->colours)
        printf("\033[38;5;%dm%s\033[0m", colour, glyph);
    else
        fputs(glyph, stdout);
}

static void put_page(const struct map *map, uint32_t number, bool letters)
{
    larder_page_info page;
    must(larder_cache_page_info(map->cache, number, &page), "larder_cache_page_info");
    require(page.class_index < OWNERS, "a page has an owner or is free");
    const char *glyph = owners[page.class_index].letter;
    if (page.class_index == LARDER_PAGE_FREE)
        glyph = page.touched != 0 ? "." : "_";
    else if (!letters && page.class_index != LARDER_OWNER_INDEX)
        glyph = map->levels[page.slots_used == 0 ? 0 : (page.slots_used * LEVELS - 1) / page.slots];
    put_glyph(map, owners[page.class_index].colour, glyph);
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

static void put_part(const struct map *map, uint64_t part, uint64_t whole, int colour, const char *sign)
{
    for (uint64_t cells = whole == 0 ? 0 : (part * BAR + whole / 2) / whole; cells > 0; cells--)
        put_glyph(map, colour, sign);
}

static void print_owners(const struct map *map)
{
    printf("%-8s %6s %6s %11s %11s %11s %8s\n", "owner", "pages", "items", "live bytes", "dead bytes", "free bytes",
           "evicted");
    for (uint32_t i = 0; i < OWNERS; i++) {
        const larder_class_stats *owned = &map->owned[i];
        put_glyph(map, owners[i].colour, owners[i].letter);
        printf(" %-6s %6" PRIu64 " %6" PRIu64 " %11" PRIu64 " %11" PRIu64 " %11" PRIu64 " %8" PRIu64 "  ",
               owners[i].name, owned->pages, owned->slots_used, owned->live_bytes, owned->waste_bytes,
               owned->free_bytes, owned->evictions);
        uint64_t bytes = (uint64_t)map->stats.page_count * map->stats.page_size;
        put_part(map, owned->live_bytes, bytes, owners[i].colour, "#");
        put_part(map, owned->waste_bytes, bytes, DEAD_COLOUR, "x");
        put_part(map, owned->free_bytes, bytes, GREY, ".");
        putchar('\n');
    }
}

static void print_and_check_totals(const struct map *map)
{
    const larder_cache_stats_t *stats = &map->stats;
    uint64_t pages = 0, live = 0, dead = 0, unused = 0, items = 0, evictions = 0;
    for (uint32_t i = 0; i < OWNERS; i++) {
        const larder_class_stats *owned = &map->owned[i];
        require(owned->live_bytes + owned->free_bytes + owned->waste_bytes == owned->pages * stats->page_size,
                "live, dead and free bytes of an owner are its pages");
        pages += owned->pages;
        live += owned->live_bytes;
        dead += owned->waste_bytes;
        unused += owned->free_bytes;
        items += owned->slots_used;
        evictions += owned->evictions;
    }
    uint64_t fixed = stats->region_bytes - pages * stats->page_size;
    printf("%8s %10" PRIu64 " bytes\n", "fixed", fixed);
    printf("%8s %10" PRIu64 " bytes\n", "region", stats->region_bytes);
    require(pages == stats->page_count, "each page is free or has one owner");
    require(items == stats->item_count, "items of all owners are the cache's");
    require(fixed + live == stats->total_used, "fixed parts and live bytes are what is used");
    require(dead + unused == stats->free_bytes, "dead bytes and unused ones are what is free");
    require(dead == stats->dead_bytes, "dead bytes of all owners are the cache's");
    require(evictions == stats->evictions, "evictions of all owners are the cache's");
}

static void look(struct map *map)
{
    map->stats = stats_of(map->cache);
    require(map->stats.page_count > 0 && map->stats.page_size > 0, "every cache has pages");
    for (uint32_t i = 0; i < OWNERS; i++) {
        larder_class_stats owned = LARDER_CLASS_STATS_INIT;
        must(larder_cache_class_stats(map->cache, i, &owned), "larder_cache_class_stats");
        map->owned[i] = owned;
    }
}

static void show(struct map *map, const char *title)
{
    look(map);
    printf("== %s: %" PRIu64 " items, %" PRIu32 " pages of %" PRIu32 " bytes\n", title, map->stats.item_count,
           map->stats.page_count, map->stats.page_size);
    print_map(map);
    print_owners(map);
    print_and_check_totals(map);
}

/* Prints the meaning of the cells. */
static void print_legend(const struct map *map)
{
    puts("A cell is a page; rows go from the start of the region to its end.");
    if (map->colours)
        puts("Its colour is its owner, as in the table; its height is the share of its bytes that live.");
    else
        puts("Left, its owner; right, the share of the same page's bytes that live.");
    puts("W: the window, of new items    M: main, of proven items    I: the index");
    puts(".: free, used before    _: free, never used");
    printf("Share of live bytes, from an eighth to all:");
    for (int level = 0; level < LEVELS; level++)
        printf("  %s", map->levels[level]);
    puts("\nWhat is missing to a full cell is dead, of items that are gone, or not used yet.");
    puts("Bars under the map, of all pages' bytes:  # live    x dead    . not used yet\n");
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

/* ---- the picture ---- */

#define CELL 9 /* pixels from page to page */
#define MARGIN 16
#define TITLE 34 /* pixels above a map */
#define LEGEND 52

static uint32_t rows_of(const struct map *map)
{
    return (map->stats.page_count + map->width - 1) / map->width;
}

/* Opens an SVG with room for two maps side by side. */
static FILE *svg_open(const char *path, const struct map *map)
{
    FILE *svg = fopen(path, "w");
    if (svg == NULL) {
        fprintf(stderr, "--svg: cannot write '%s': name a file in a directory that is there\n", path);
        exit(EXIT_FAILURE);
    }
    uint32_t width = 2 * map->width * CELL + 3 * MARGIN, height = rows_of(map) * CELL + TITLE + LEGEND;
    fprintf(svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %" PRIu32 " %" PRIu32 "\" width=\"%" PRIu32
            "\" role=\"img\" aria-label=\"The pages of a larder region, before and after larder_cache_optimize\">\n"
            "<style>text{font:13px sans-serif;fill:#24292f}.page{fill:#dfe3e8}.w{fill:#2f81f7}.m{fill:#2da44e}"
            ".i{fill:#a371f7}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#30363d}}</style>\n",
            width, height, width);
    return svg;
}

/* The live bytes of one owner's pages: a cell is filled from below. Free pages are left empty. */
static void svg_owner(FILE *svg, const struct map *map, uint32_t owner, uint32_t left)
{
    static const char *const classes[OWNERS] = { "w", "m", "i", "free" };
    const uint32_t side = CELL - 1;
    fprintf(svg, "<path class=\"%s\" d=\"", classes[owner]);
    for (uint32_t i = 0; i < map->stats.page_count; i++) {
        larder_page_info page;
        must(larder_cache_page_info(map->cache, i, &page), "larder_cache_page_info");
        uint32_t live = page.slots == 0 ? 0 : (page.slots_used * side + page.slots - 1) / page.slots;
        if (page.class_index != owner || live == 0)
            continue;
        uint32_t x = left + i % map->width * CELL, bottom = TITLE + i / map->width * CELL + side;
        fprintf(svg, "M%" PRIu32 " %" PRIu32 "h%" PRIu32 "v-%" PRIu32 "h-%" PRIu32 "z", x, bottom, side, live, side);
    }
    fputs("\"/>\n", svg);
}

static void svg_map(FILE *svg, const struct map *map, uint32_t left, const char *title)
{
    const uint32_t side = CELL - 1;
    fprintf(svg,
            "<text x=\"%" PRIu32 "\" y=\"20\">%s: %" PRIu64 " items, %" PRIu64 " of %" PRIu64 " KiB in use</text>\n",
            left, title, map->stats.item_count, map->stats.total_used >> 10, map->stats.region_bytes >> 10);
    fputs("<path class=\"page\" d=\"", svg);
    for (uint32_t i = 0; i < map->stats.page_count; i++)
        fprintf(svg, "M%" PRIu32 " %" PRIu32 "h%" PRIu32 "v%" PRIu32 "h-%" PRIu32 "z", left + i % map->width * CELL,
                TITLE + i / map->width * CELL, side, side, side);
    fputs("\"/>\n", svg);
    for (uint32_t owner = 0; owner < LARDER_OWNER_FREE; owner++)
        svg_owner(svg, map, owner, left);
}

static void svg_close(FILE *svg, const struct map *map)
{
    static const char *const names[] = { "window: new items", "main: proven items", "index", "dead or free" };
    static const char *const classes[] = { "w", "m", "i", "page" };
    uint32_t y = TITLE + rows_of(map) * CELL + 20, x = MARGIN;
    for (size_t i = 0; i < 4; i++, x += 165) {
        fprintf(svg, "<rect class=\"%s\" x=\"%" PRIu32 "\" y=\"%" PRIu32 "\" width=\"9\" height=\"9\"/>", classes[i], x,
                y - 9);
        fprintf(svg, "<text x=\"%" PRIu32 "\" y=\"%" PRIu32 "\">%s</text>\n", x + 14, y, names[i]);
    }
    fprintf(svg, "<text x=\"%d\" y=\"%" PRIu32 "\">A cell is a page of %" PRIu32
            " bytes, filled by the share of its bytes that are live.</text>\n</svg>\n",
            MARGIN, y + 19, map->stats.page_size);
    require(fclose(svg) == 0, "the picture is written");
}

/* ---- the workload ---- */

/* Reads a third of the keys again after a hundred sets, so that the policy promotes them to the main log. */
static void read_again(larder_cache *cache, uint32_t id)
{
    uint32_t key = id - 100;
    unsigned char byte;
    size_t read;
    if (id < 100 || key % 3 != 0)
        return;
    larder_status status = larder_cache_get_range(cache, &key, sizeof key, 0, &byte, 1, &read);
    if (status != LARDER_NOT_FOUND) /* evicted meanwhile */
        must(status, "larder_cache_get_range");
}

/* Sets the keys 0, 1 and so on. Returns their number. */
static uint32_t fill(larder_cache *cache, uint64_t bytes)
{
    static const unsigned char value[VALUE_SIZE_MAX];
    uint64_t random = 1;
    uint32_t id = 0;
    for (uint64_t sum = 0; sum < bytes; id++) {
        size_t size = (size_t)exp2(4 + 6 * unit_interval(random_next(&random)));
        uint64_t ttl_ms = id % 4 == 0 ? TTL_MS : LARDER_TTL_NEVER;
        must(larder_cache_set(cache, &id, sizeof id, value, size, ttl_ms), "larder_cache_set");
        read_again(cache, id);
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

static void run(size_t region_size, uint32_t width, const char *picture)
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
    FILE *svg = picture != NULL ? svg_open(picture, &map) : NULL;
    if (svg != NULL)
        svg_map(svg, &map, MARGIN, "Before optimize");
    larder_optimize_report report;
    must(larder_cache_optimize(cache, 0, &report), "larder_cache_optimize");
    printf("== optimize: %" PRIu64 " items expired, %" PRIu64 " items copied, %" PRIu64 " pages and %" PRIu64
           " bytes freed\n",
           report.items_expired, report.items_moved, report.pages_freed, report.bytes_freed);
    show(&map, "after optimize");
    if (svg != NULL) {
        svg_map(svg, &map, 2 * MARGIN + width * CELL, "After");
        svg_close(svg, &map);
        printf("picture: %s\n", picture);
    }
    must(larder_cache_check(cache), "larder_cache_check");
    free(region);
}

int main(int argc, char **argv)
{
    uint64_t region_size = 1 << 20, width = 32;
    const char *picture = NULL;
    const struct program_option options[] = {
        { "region", &region_size, 1 << 16, 1 << 30, NULL },
        { "width", &width, 1, 1000, NULL },
        { "svg", NULL, 0, 0, &picture },
    };
    read_arguments(argc, argv,
                   "usage: memory_map [--region BYTES] [--width PAGES] [--svg FILE]\n"
                   "\n"
                   "Draws the pages of a cache, before larder_cache_optimize and after it.\n"
                   "\n"
                   "  --region BYTES    64K to 1G, powers of 1024 (default 1M)\n"
                   "  --width PAGES     pages in a row of the map, 1 to 1000 (default 32)\n"
                   "  --svg FILE        draws both maps into FILE, too\n",
                   options, 3, NULL);
    run((size_t)(region_size - region_size % LARDER_ALIGN), (uint32_t)width, picture);
    return EXIT_SUCCESS;
}
