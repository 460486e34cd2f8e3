/* behaviour_print.c: statistics as text, JSON and for Prometheus. They are what larder_cache_stats says, a buffer that
 * is too short answers the length, and nothing is written behind a buffer.
 *
 * usage: behaviour_print [quick | write DIRECTORY]     writes stats.txt, stats.json and stats.prom there */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>

enum { REGION_SIZE = 1024 * 1024, SETS = 12000, GETS = 60000 };

static const struct {
    uint32_t number;
    const char *file;
} formats[] = {
    {LARDER_FORMAT_TEXT, "stats.txt"}, {LARDER_FORMAT_JSON, "stats.json"}, {LARDER_FORMAT_PROMETHEUS, "stats.prom"}};
enum { FORMAT_COUNT = sizeof formats / sizeof formats[0] };

/* Two shards, advice, evictions, expirations, misses, and calls that failed. */
static larder_cache *used_cache(const struct region *region, uint64_t *now_ms)
{
    larder_cache_config config = config_with_clock(now_ms);
    static unsigned char large[REGION_SIZE];
    unsigned char value[200] = {0};
    size_t len;
    config.shards = 2;
    larder_cache *cache = cache_new(region, &config);
    for (uint64_t key = 0; key < SETS; key++)
        CHECK_STATUS(larder_cache_set(cache, &key, sizeof key, value, (size_t)(key % sizeof value), 1000 + key % 3000),
                     LARDER_OK);
    *now_ms += 2500;
    for (uint64_t i = 0; i < GETS; i++) {
        uint64_t key = i % (SETS + SETS / 3);
        larder_status status = larder_cache_get(cache, &key, sizeof key, value, sizeof value, &len);
        CHECK(status == LARDER_OK || status == LARDER_NOT_FOUND);
    }
    CHECK_STATUS(larder_cache_set(cache, "large", 5, large, sizeof large, 0), LARDER_TOO_LARGE);
    CHECK_STATUS(larder_cache_set(cache, "key", 3, value, 100, 0), LARDER_OK);
    CHECK_STATUS(larder_cache_get(cache, "key", 3, value, 10, &len), LARDER_BUFFER_TOO_SMALL);
    larder_cache_stats_t stats = stats_of(cache);
    CHECK(stats.hits > 0 && stats.misses > 0 && stats.evictions > 0 && stats.expirations > 0);
    return cache;
}

static void has_figure(const char *text, const char *before, int width, uint64_t number, const char *after)
{
    char line[100];
    snprintf(line, sizeof line, "%s%*" PRIu64 "%s", before, width, number, after);
    set_context("figure", line);
    CHECK(strstr(text, line) != NULL);
}

static void figures_are_those_of_the_structures(larder_cache *cache)
{
    static char text[FORMAT_COUNT][LARDER_STATS_PRINT_MAX];
    larder_cache_stats_t stats = stats_of(cache);
    larder_class_stats window = LARDER_CLASS_STATS_INIT;
    larder_cache_limits_t limits = LARDER_CACHE_LIMITS_INIT;
    CHECK_STATUS(larder_cache_class_stats(cache, LARDER_OWNER_WINDOW, &window), LARDER_OK);
    CHECK_STATUS(larder_cache_limits(cache, &limits), LARDER_OK);
    for (int i = 0; i < FORMAT_COUNT; i++) {
        size_t len;
        CHECK_STATUS(larder_cache_stats_print(cache, formats[i].number, text[i], sizeof text[i], &len), LARDER_OK);
        CHECK(len == strlen(text[i]) && len < LARDER_STATS_PRINT_MAX && text[i][len - 1] == '\n');
    }
    has_figure(text[0], "\n  hits                    ", 14, stats.hits, "  Reads");
    has_figure(text[0], "\n  total_used              ", 14, stats.total_used, "  Bytes");
    has_figure(text[0], "\n  pages                   ", 14, window.pages, " ");
    has_figure(text[1], "\"misses\":", 0, stats.misses, ",");
    has_figure(text[1], "\"evictions\":", 0, stats.evictions, ",");
    has_figure(text[1], "\"name\":\"window\",\"slot_size\":", 0, window.slot_size, ",");
    has_figure(text[1], "\"value_len_max\":", 0, limits.value_len_max, ",");
    has_figure(text[2], "\nlarder_gets_total{result=\"hit\"} ", 0, stats.hits, "\n");
    has_figure(text[2], "\nlarder_expirations_total ", 0, stats.expirations, "\n");
    has_figure(text[2], "\nlarder_bytes{kind=\"payload\"} ", 0, stats.payload_bytes, "\n");
    has_figure(text[2], "\nlarder_owner_live_bytes{owner=\"window\"} ", 0, window.live_bytes, "\n");
    CHECK(strstr(text[2], "\nlarder_ttl_max_seconds 1099511627.776\n") != NULL);
}

static void every_capacity(const larder_cache *cache, uint32_t format)
{
    static char buffer[LARDER_STATS_PRINT_MAX + 1], whole[LARDER_STATS_PRINT_MAX];
    size_t len = 77, again;
    set_context("stats_print", "(NULL, 0)");
    CHECK_STATUS(larder_cache_stats_print(cache, format, NULL, 0, &len), LARDER_BUFFER_TOO_SMALL);
    CHECK_STATUS(larder_cache_stats_print(cache, format, whole, sizeof whole, &again), LARDER_OK);
    CHECK(len == again && len > 500);
    set_context("stats_print", "capacity");
    for (size_t capacity = 0; capacity <= len + 2; capacity += capacity + 40 < len && check_quick ? 37 : 1) {
        memset(buffer, DIRT_BYTE, sizeof buffer);
        again = 77;
        CHECK_STATUS(larder_cache_stats_print(cache, format, buffer, capacity, &again),
                     capacity > len ? LARDER_OK : LARDER_BUFFER_TOO_SMALL);
        CHECK(again == len);
        CHECK(all_bytes_are(buffer + capacity, sizeof buffer - capacity, DIRT_BYTE));
        CHECK(capacity <= len || (strcmp(buffer, whole) == 0 && strlen(buffer) == len));
    }
}

static void write_files(const larder_cache *cache, const char *directory)
{
    static char text[LARDER_STATS_PRINT_MAX];
    for (int i = 0; i < FORMAT_COUNT; i++) {
        char path[300];
        size_t len = 0;
        CHECK_STATUS(larder_cache_stats_print(cache, formats[i].number, text, sizeof text, &len), LARDER_OK);
        snprintf(path, sizeof path, "%s/%s", directory, formats[i].file);
        FILE *file = fopen(path, "wb");
        if (!CHECK(file != NULL))
            return;
        CHECK(fwrite(text, 1, len, file) == len);
        CHECK(fclose(file) == 0);
    }
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    struct region region = region_new(REGION_SIZE);
    uint64_t now_ms = 1000;
    larder_cache *cache = used_cache(&region, &now_ms);
    figures_are_those_of_the_structures(cache);
    for (int i = 0; i < FORMAT_COUNT; i++)
        every_capacity(cache, formats[i].number);
    if (argc == 3)
        write_files(cache, argv[2]);
    check_cache(cache, &region);
    region_free(&region);
    return check_end("behaviour_print");
}
