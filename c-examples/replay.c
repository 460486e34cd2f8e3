/* replay.c: replays a recorded access trace, or a generated workload, through a cache and reports the results.
 *
 * Build:  cc -std=c11 c-examples/replay.c -Iinclude target/lib/liblarder.a -lpthread -lm
 *         (with -DHAVE_ZSTD -lzstd it reads .zst files as well)
 *
 * A get that misses is followed by a set, as in a read-through cache. A trace's sets and deletes are made in order.
 * The times of a .csv trace are the cache's clock. Every hit is checked: a value starts with its length and the number
 * of its key. trace.h describes the formats; run with --help for the options.
 *
 * Prints, with N for what depends on the version and the machine:
 *    trace           zipf 0.99: 1000000 requests, 100000 keys
 *    requests        1000000
 *    hits            N of 1000000 gets
 *    hit ratio       N.NN %
 *    byte hit ratio  N.NN %                of the bytes that gets asked for
 *    too large       N                     sets of values that the cache cannot hold
 *    evictions       N
 *    expirations     N
 *    items           N                     at the end, as the lines below
 *    usage           N of 16777216 bytes
 *    payload         N.N % of usage        keys and values
 *    overhead        N.N bytes an item
 *    speed           N calls/s (N calls in N.NN s)
 */
#define _POSIX_C_SOURCE 200809L

#include "example.h"
#include "trace.h"
#include "zipf.h"

#include <unistd.h>

#define BATCH_SIZE 4096
#define KEY_SIZE_MIN 4   /* room for the key's number */
#define KEY_SIZE_MAX 250 /* hosts hash longer keys */
#define MADE_UP_REQUESTS 1000000
#define MADE_UP_KEYS 100000
#define MADE_UP_KEY_SIZE 16
#define MADE_UP_ALPHA 0.99
#define BAR_WIDTH 40

struct options {
    uint64_t region;
    uint64_t limit; /* 0 = all of the region */
    uint64_t value_size;
    uint32_t policy;
    const char *path; /* NULL = the generated workload */
};

struct made_up {
    struct zipf zipf;
    uint64_t random;
    uint32_t count; /* requests made so far */
};

struct tally {
    uint64_t requests, gets, hits, calls, too_large;
    uint64_t bytes_asked, bytes_hit;
    double seconds;
};

struct replay {
    larder_cache *cache;
    uint64_t now_ms;       /* the time of the cache's clock */
    uint64_t region;
    unsigned char *value;  /* the value to set, or the one read */
    size_t value_capacity; /* at least the largest value set so far */
    unsigned char key[KEY_SIZE_MAX];
    struct tally tally;
    bool draws_bar;
    unsigned bar_percent;
};

/* ---- values and keys ---- */

/* The first bytes of a value: its length and its key's number, as far as they fit. */
static size_t make_stamp(uint32_t id, uint32_t size, unsigned char stamp[8])
{
    for (unsigned i = 0; i < 4; i++) {
        stamp[i] = (unsigned char)(size >> 8 * i);
        stamp[4 + i] = (unsigned char)(id >> 8 * i);
    }
    return size < 8 ? size : 8;
}

static size_t make_key(struct replay *replay, const struct request *request)
{
    size_t size = request->key_size;
    if (size < KEY_SIZE_MIN)
        size = KEY_SIZE_MIN;
    if (size > KEY_SIZE_MAX)
        size = KEY_SIZE_MAX;
    memset(replay->key, 'k', size);
    for (unsigned i = 0; i < 4; i++)
        replay->key[size - 4 + i] = (unsigned char)(request->id >> 8 * i);
    return size;
}

static void reserve_value(struct replay *replay, size_t size)
{
    if (size <= replay->value_capacity)
        return;
    unsigned char *value = realloc(replay->value, size);
    if (value == NULL) {
        fprintf(stderr, "no memory for a value of %zu bytes: give a smaller --value\n", size);
        exit(EXIT_FAILURE);
    }
    memset(value + replay->value_capacity, 'v', size - replay->value_capacity);
    replay->value = value;
    replay->value_capacity = size;
}

static void check_hit(const struct replay *replay, const struct request *request, size_t len)
{
    unsigned char stamp[8];
    size_t stamp_len = make_stamp(request->id, (uint32_t)len, stamp);
    if (len <= replay->value_capacity && memcmp(replay->value, stamp, stamp_len) == 0)
        return;
    fprintf(stderr, "request %" PRIu64 ": key %" PRIu32 " has a value of %zu bytes that was never set\n",
            replay->tally.requests, request->id, len);
    exit(EXIT_FAILURE);
}

/* ---- one request ---- */

static void replay_delete(struct replay *replay, size_t key_len)
{
    replay->tally.calls++;
    larder_status status = larder_cache_delete(replay->cache, replay->key, key_len);
    if (status != LARDER_NOT_FOUND)
        must(status, "larder_cache_delete");
}

static larder_status try_set(struct replay *replay, const struct request *request, size_t key_len)
{
    if (request->value_size > replay->region)
        return LARDER_TOO_LARGE; /* the cache's answer, without making such a value */
    reserve_value(replay, request->value_size);
    unsigned char stamp[8];
    size_t stamp_len = make_stamp(request->id, request->value_size, stamp);
    memcpy(replay->value, stamp, stamp_len);
    uint64_t ttl_ms = request->ttl_ms > 0 ? request->ttl_ms : LARDER_TTL_NEVER;
    replay->tally.calls++;
    return larder_cache_set(replay->cache, replay->key, key_len, replay->value, request->value_size, ttl_ms);
}

/* A failed set keeps the old value, which is out of date here. So it is deleted. */
static void replay_set(struct replay *replay, const struct request *request, size_t key_len)
{
    larder_status status = try_set(replay, request, key_len);
    if (status == LARDER_TOO_LARGE) {
        replay->tally.too_large++;
        replay_delete(replay, key_len);
        return;
    }
    must(status, "larder_cache_set");
}

static void replay_get(struct replay *replay, const struct request *request, size_t key_len)
{
    struct tally *tally = &replay->tally;
    size_t len = 0;
    tally->calls++;
    tally->gets++;
    tally->bytes_asked += request->value_size;
    larder_status status =
        larder_cache_get(replay->cache, replay->key, key_len, replay->value, replay->value_capacity, &len);
    if (status == LARDER_NOT_FOUND) {
        replay_set(replay, request, key_len);
        return;
    }
    must(status, "larder_cache_get");
    check_hit(replay, request, len);
    tally->hits++;
    tally->bytes_hit += request->value_size;
}

static void replay_request(struct replay *replay, const struct request *request)
{
    size_t key_len = make_key(replay, request);
    replay->now_ms = request->time_ms;
    replay->tally.requests++;
    switch (request->op) {
    case REQUEST_GET: replay_get(replay, request, key_len); break;
    case REQUEST_SET: replay_set(replay, request, key_len); break;
    case REQUEST_DELETE: replay_delete(replay, key_len); break;
    }
}

/* Only this function is timed: reading and unpacking a trace is not the cache's work. */
static void replay_batch(struct replay *replay, const struct request *batch, size_t count)
{
    double begin = seconds_now();
    for (size_t i = 0; i < count; i++)
        replay_request(replay, &batch[i]);
    replay->tally.seconds += seconds_now() - begin;
}

/* ---- progress ---- */

static void draw_bar(struct replay *replay, unsigned percent)
{
    if (!replay->draws_bar || percent == replay->bar_percent)
        return;
    replay->bar_percent = percent;
    unsigned filled = percent * BAR_WIDTH / 100;
    fprintf(stderr, "\r[%.*s%*s] %3u%%", (int)filled, "########################################",
            (int)(BAR_WIDTH - filled), "", percent);
}

static void clear_bar(const struct replay *replay)
{
    if (replay->draws_bar)
        fprintf(stderr, "\r%*s\r", BAR_WIDTH + 7, "");
}

/* ---- the sources of requests ---- */

static size_t made_up_read(struct made_up *made_up, struct request *out, size_t max)
{
    size_t count = 0;
    for (; count < max && made_up->count < MADE_UP_REQUESTS; count++, made_up->count++) {
        uint32_t id = zipf_next(&made_up->zipf, &made_up->random);
        out[count] = (struct request){
            .id = id,
            .key_size = MADE_UP_KEY_SIZE,
            .value_size = size_of_key(id),
            .op = REQUEST_GET,
        };
    }
    return count;
}

static void replay_made_up(struct replay *replay)
{
    static struct request batch[BATCH_SIZE];
    struct made_up made_up = { .random = 1 };
    zipf_init(&made_up.zipf, MADE_UP_KEYS, MADE_UP_ALPHA);
    size_t count;
    while ((count = made_up_read(&made_up, batch, BATCH_SIZE)) > 0) {
        replay_batch(replay, batch, count);
        draw_bar(replay, (unsigned)(UINT64_C(100) * made_up.count / MADE_UP_REQUESTS));
    }
    clear_bar(replay);
    zipf_free(&made_up.zipf);
}

/* Returns false after a message if the file cannot be read or is no trace. */
static bool replay_trace(struct replay *replay, const struct options *options)
{
    static struct request batch[BATCH_SIZE];
    static struct trace trace;
    if (trace_open(&trace, options->path, MADE_UP_KEY_SIZE, (uint32_t)options->value_size)) {
        size_t count;
        while ((count = trace_read(&trace, batch, BATCH_SIZE)) > 0) {
            replay_batch(replay, batch, count);
            draw_bar(replay, stream_percent(&trace.stream));
        }
        clear_bar(replay);
        trace_close(&trace);
    }
    if (trace.error[0] != '\0')
        fprintf(stderr, "replay: %s\n", trace.error);
    return trace.error[0] == '\0';
}

/* ---- the report ---- */

static void print_report(const struct replay *replay, const char *path)
{
    const struct tally *tally = &replay->tally;
    larder_cache_stats_t stats = stats_of(replay->cache);
    if (path != NULL)
        printf("trace           %s\n", path);
    else
        printf("trace           zipf %.2f: %d requests, %d keys\n", MADE_UP_ALPHA, MADE_UP_REQUESTS, MADE_UP_KEYS);
    printf("requests        %" PRIu64 "\n", tally->requests);
    printf("hits            %" PRIu64 " of %" PRIu64 " gets\n", tally->hits, tally->gets);
    printf("hit ratio       %.2f %%\n", 100 * ratio((double)tally->hits, (double)tally->gets));
    printf("byte hit ratio  %.2f %%\n", 100 * ratio((double)tally->bytes_hit, (double)tally->bytes_asked));
    printf("too large       %" PRIu64 "\n", tally->too_large);
    printf("evictions       %" PRIu64 "\n", stats.evictions);
    printf("expirations     %" PRIu64 "\n", stats.expirations);
    printf("items           %" PRIu64 "\n", stats.item_count);
    printf("usage           %" PRIu64 " of %" PRIu64 " bytes\n", stats.total_used, stats.limit_bytes);
    printf("payload         %.1f %% of usage\n", 100 * ratio((double)stats.payload_bytes, (double)stats.total_used));
    printf("overhead        %.1f bytes an item\n", ratio((double)stats.overhead_bytes, (double)stats.item_count));
    printf("speed           %.0f calls/s (%" PRIu64 " calls in %.2f s)\n",
           ratio((double)tally->calls, tally->seconds), tally->calls, tally->seconds);
}

/* ---- options ---- */

static const char help[] =
    "usage: replay [--region BYTES] [--limit BYTES] [--policy default|lru] [--value BYTES] [FILE]\n"
    "\n"
    "Replays an access trace through a larder cache and reports how the cache did.\n"
    "Without FILE: a made-up workload, Zipf 0.99, 1000000 requests over 100000 keys\n"
    "with values of 16 to 4096 bytes, the same in each run.\n"
    "\n"
    "  --region BYTES        memory that the cache lives in (default 16M)\n"
    "  --limit BYTES         limit within the region (default 0: all of it)\n"
    "  --policy default|lru  which items the cache evicts (default: default)\n"
    "  --value BYTES         size of each value of an .ids trace (default 64)\n"
    "  --help, -h            print this and exit\n"
    "\n"
    "FILE is one of two formats, which its name tells:\n"
    "  NAME.ids  binary; a little-endian u32 for each access: the number of its key.\n"
    "            Keys have 16 bytes, values as many as --value says.\n"
    "  NAME.csv  text; this header line, then a line for each access:\n"
    "              " TRACE_CSV_HEADER "\n"
    "            time_s      seconds, a decimal number; the clock of the cache\n"
    "            key_id      the number of the key, 0 to 4294967295\n"
    "            key_size    bytes of the key; fewer than 4 are made 4, more than 250 are made 250\n"
    "            value_size  bytes of the value\n"
    "            op          get, set or delete; a get that misses is followed by a set\n"
    "            ttl_s       seconds until a value that is set expires; 0: never\n"
    "            Example:    0.25,7,16,300,get,60\n"
    "Either may be packed by zstd and ends in .zst then ("
#ifdef HAVE_ZSTD
    "this program reads it"
#else
    "this program was built without libzstd and does not read it"
#endif
    ").\n"
    "\n"
    "BYTES takes the suffixes K, M and G (powers of 1024).\n"
    "Exit code: 0 done, 1 the trace or the cache failed, 2 bad arguments.\n";

static uint32_t parse_policy(const char *text)
{
    if (strcmp(text, "default") == 0)
        return LARDER_POLICY_DEFAULT;
    if (strcmp(text, "lru") == 0)
        return LARDER_POLICY_LRU;
    fprintf(stderr, "--policy takes default or lru, not '%s'\n", text);
    exit_usage(help);
}

static struct options parse_options(int argc, char **argv)
{
    struct options options = { .region = 16 << 20, .value_size = 64 };
    const char *policy = "default";
    const struct program_option known[] = {
        { "region", &options.region, LARDER_ALIGN, SIZE_MAX, NULL },
        { "limit", &options.limit, 0, SIZE_MAX, NULL },
        { "value", &options.value_size, 0, UINT32_MAX, NULL },
        { "policy", NULL, 0, 0, &policy },
    };
    read_arguments(argc, argv, help, known, 4, &options.path);
    options.policy = parse_policy(policy);
    options.region -= options.region % LARDER_ALIGN;
    if (options.path != NULL && !trace_is_known(options.path)) {
        fprintf(stderr, "the name of '%s' ends in none of .ids, .csv, .ids.zst, .csv.zst: "
                "--help explains them\n", options.path);
        exit_usage(help);
    }
    return options;
}

/* ---- the cache ---- */

static uint64_t read_clock(void *ctx)
{
    return *(const uint64_t *)ctx;
}

static void start(struct replay *replay, const struct options *options, void *region)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.memory_limit = (size_t)options->limit;
    config.policy = options->policy;
    config.now_ms = read_clock;
    config.now_ctx = &replay->now_ms;
    must(larder_cache_init(region, (size_t)options->region, &config, &replay->cache), "larder_cache_init");
    replay->region = options->region;
    replay->draws_bar = isatty(STDERR_FILENO);
    reserve_value(replay, 4096); /* a get needs a buffer, even in an empty cache */
}

int main(int argc, char **argv)
{
    static struct replay replay;
    struct options options = parse_options(argc, argv);
    void *region = region_new((size_t)options.region);
    start(&replay, &options, region);

    bool ok = true;
    if (options.path != NULL)
        ok = replay_trace(&replay, &options);
    else
        replay_made_up(&replay);
    if (ok) {
        must(larder_cache_check(replay.cache), "larder_cache_check");
        print_report(&replay, options.path);
    }
    free(replay.value);
    free(region);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
