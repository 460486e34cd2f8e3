/* near_cache.c: larder as the first level in front of Redis 6 or later, alone or a cluster. near.h has how it works.
 *
 * Build:  make near-cache       fetches the C sources of hiredis 1.x, the client's protocol, into target/hiredis
 * Usage:  near_cache [--redis HOST:PORT] [--keys N] [--threads N] [--seconds N] .. [commands]
 *
 * Threads draw keys by Zipf's law, get them, and set some. Each value that is read must be its key's, and in the end
 * each item must be what Redis has. Prints how many gets each level answered, and how long they took:
 *    == 2 threads, 10000 keys, 5% sets, region 4194304 bytes, 5 s
 *       gets N = hits N + fetched N + stale N + failed N: hit ratio .NNN
 *       sets N, failed besides N; N a second, N us of CPU for each
 *       near p50 N us, p90 N us, p99 N us, p99.9 N us
 *       redis p50 ..
 *       set ..
 *    near from N us N calls ###
 *    ..
 *       N items are what Redis has
 * With `commands` it does what stdin says instead: --help lists the commands.
 * What happens to connections is said on stderr. Exit code 1 where Redis cannot be had in the first place,
 * and where an item is wrong.
 */
#define _POSIX_C_SOURCE 200809L

#include "histogram.h"
#include "near.h"
#include "near_commands.h"
#include "zipf.h"

#include <signal.h>

#define THREADS_MAX 64
#define KEY_SIZE 24
#define VALUE_SIZE_MIN 32
#define VALUE_SIZE_MAX 4200 /* VALUE_SIZE_MIN + size_of_key */
#define SETTLE_TRIES 100
#define SETTLE_MS 20
#define START_TIMEOUTS 10 /* how long the first connection is waited for */
#define RETRIES 20        /* of a first set of a key */

struct options {
    const char *redis, *mode;
    uint64_t keys, threads, seconds, region, ttl_ms, grace_ms, timeout_ms, writes;
    char host[HOST_MAX];
    int port;
};

struct worker {
    pthread_t thread;
    struct near *near;
    const struct options *options;
    const struct zipf *zipf;
    const atomic_bool *stop;
    unsigned number;
    uint64_t random;
    uint64_t answers[NEAR_FAILED + 1], failed_sets;
    struct histogram near_ns, redis_ns, set_ns;
};

/* ---- traffic ---- */

/* A value is its key, who wrote it when, and as many letters as its size asks for. */
static size_t make_value(uint32_t id, uint64_t written, char *text)
{
    size_t size = VALUE_SIZE_MIN + size_of_key(id);
    int len = snprintf(text, VALUE_SIZE_MIN, "%" PRIu32 " %016" PRIx64 " ", id, written);
    memset(text + len, 'a' + (int)(id % 26), size - (size_t)len);
    return size;
}

static bool value_is_right(uint32_t id, const struct near_value *value)
{
    char text[VALUE_SIZE_MAX], *end;
    size_t len = value->len - NEAR_HEAD;
    if (value_is_absent(value) || len != VALUE_SIZE_MIN + size_of_key(id))
        return false;
    memcpy(text, value_text(value), len);
    if (strtoul(text, &end, 10) != id || *end != ' ')
        return false;
    return make_value(id, strtoull(end, NULL, 16), text) == len && memcmp(value_text(value), text, len) == 0;
}

static uint64_t ns_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)((now.tv_sec - start->tv_sec) * INT64_C(1000000000) + now.tv_nsec - start->tv_nsec);
}

static void set_one(struct worker *worker, uint32_t id)
{
    char key[KEY_SIZE], text[VALUE_SIZE_MAX], reason[REASON_MAX];
    struct timespec start;
    int key_len = snprintf(key, sizeof key, "key:%" PRIu32, id);
    size_t len = make_value(id, random_next(&worker->random), text);
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (near_set(worker->near, key, (size_t)key_len, text, len, reason) != NULL)
        worker->failed_sets++;
    else
        histogram_add(&worker->set_ns, ns_since(&start));
}

static void get_one(struct worker *worker, uint32_t id, struct near_value *value)
{
    char key[KEY_SIZE];
    struct timespec start;
    int key_len = snprintf(key, sizeof key, "key:%" PRIu32, id);
    clock_gettime(CLOCK_MONOTONIC, &start);
    enum near_answer answer = near_get(worker->near, key, (size_t)key_len, value);
    uint64_t ns = ns_since(&start);
    worker->answers[answer]++;
    if (answer == NEAR_FAILED)
        return;
    histogram_add(answer == NEAR_FETCHED ? &worker->redis_ns : &worker->near_ns, ns);
    require(value_is_right(id, value), "a value is whole, and its key's");
}

static void *work(void *ctx)
{
    struct worker *worker = ctx;
    struct near_value *value = malloc(sizeof *value);
    require(value != NULL, "there is memory for a value");
    while (!atomic_load(worker->stop)) {
        uint32_t id = zipf_next(worker->zipf, &worker->random);
        if (random_next(&worker->random) % 100 < worker->options->writes)
            set_one(worker, id);
        else
            get_one(worker, id, value);
    }
    free(value);
    return NULL;
}

/* Each thread sets and gets its share of the keys, before any call is measured. */
static void *preload(void *ctx)
{
    struct worker *worker = ctx;
    struct near_value *value = malloc(sizeof *value);
    require(value != NULL, "there is memory for a value");
    for (uint64_t id = worker->number; id < worker->options->keys; id += worker->options->threads) {
        for (unsigned tries = 0; tries < RETRIES; tries++) {
            uint64_t failed = worker->failed_sets;
            set_one(worker, (uint32_t)id);
            if (worker->failed_sets == failed)
                break;
            poll(NULL, 0, (int)worker->options->timeout_ms);
        }
        get_one(worker, (uint32_t)id, value);
    }
    free(value);
    return NULL;
}

/* Whether the item, where there is one, is what Redis has. Invalidations are on their way while others write: what is
 * not right once they have arrived will never be. */
static bool is_as_redis_has_it(struct near *near, uint32_t id, struct near_value *here, struct near_value *there,
                               uint64_t *items)
{
    char key[KEY_SIZE];
    size_t key_len = (size_t)snprintf(key, sizeof key, "key:%" PRIu32, id);
    for (unsigned tries = 0; tries < SETTLE_TRIES; tries++) {
        bool is_fresh = false;
        if (!near_look(near, key, key_len, here, &is_fresh) || !is_fresh)
            return true;
        if (near_ask(near, key, key_len, there) == NULL && here->len == there->len &&
            memcmp(value_text(here), value_text(there), here->len - NEAR_HEAD) == 0) {
            ++*items;
            return true;
        }
        poll(NULL, 0, SETTLE_MS);
    }
    fprintf(stderr, "key:%" PRIu32 " is not what Redis has\n", id);
    return false;
}

static void verify(const struct options *options, struct near *near)
{
    struct near_value *here = calloc(1, sizeof *here), *there = calloc(1, sizeof *there);
    uint64_t items = 0, wrong = 0;
    require(here != NULL && there != NULL, "there is memory for values");
    for (uint32_t id = 0; id < options->keys; id++)
        wrong += !is_as_redis_has_it(near, id, here, there, &items);
    free(here);
    free(there);
    require(wrong == 0, "every item is what Redis has");
    printf("   %" PRIu64 " items are what Redis has\n", items);
}

static void print_level(const struct histogram *histogram, const char *name)
{
    printf("   %-5s", name);
    const double shares[] = { .5, .9, .99, .999 };
    const char *names[] = { "p50", "p90", "p99", "p99.9" };
    for (int i = 0; i < 4; i++)
        printf(" %s %.2f us%s", names[i], (double)histogram_percentile(histogram, shares[i]) / 1e3, i < 3 ? "," : "\n");
}

static void report(const struct options *options, struct near *near, struct worker *workers, double cpu_seconds)
{
    struct worker *sum = &workers[0];
    for (unsigned i = 1; i < options->threads; i++) {
        for (int answer = 0; answer <= NEAR_FAILED; answer++)
            sum->answers[answer] += workers[i].answers[answer];
        sum->failed_sets += workers[i].failed_sets;
        histogram_merge(&sum->near_ns, &workers[i].near_ns);
        histogram_merge(&sum->redis_ns, &workers[i].redis_ns);
        histogram_merge(&sum->set_ns, &workers[i].set_ns);
    }
    const uint64_t *answers = sum->answers;
    uint64_t gets = answers[NEAR_HIT] + answers[NEAR_FETCHED] + answers[NEAR_STALE] + answers[NEAR_FAILED];
    printf("   gets %" PRIu64 " = hits %" PRIu64 " + fetched %" PRIu64 " + stale %" PRIu64 " + failed %" PRIu64
           ": hit ratio %.3f\n", gets, answers[NEAR_HIT], answers[NEAR_FETCHED], answers[NEAR_STALE],
           answers[NEAR_FAILED], ratio((double)answers[NEAR_HIT], (double)gets));
    double calls = (double)(gets + sum->set_ns.total + sum->failed_sets);
    printf("   sets %" PRIu64 ", failed besides %" PRIu64 "; %.0f a second, %.2f us of CPU for each\n   ",
           sum->set_ns.total, sum->failed_sets, calls / (double)options->seconds, ratio(cpu_seconds * 1e6, calls));
    command_stat(near);
    print_level(&sum->near_ns, "near");
    print_level(&sum->redis_ns, "redis");
    print_level(&sum->set_ns, "set");
    histogram_print(&sum->near_ns, "near");
    histogram_print(&sum->redis_ns, "redis");
}

static void run_threads(struct worker *workers, uint64_t count, void *(*body)(void *), atomic_bool *stop,
                        uint64_t seconds)
{
    for (uint64_t i = 0; i < count; i++)
        require(pthread_create(&workers[i].thread, NULL, body, &workers[i]) == 0, "a thread starts");
    if (seconds > 0) {
        poll(NULL, 0, (int)seconds * 1000);
        atomic_store(stop, true);
    }
    for (uint64_t i = 0; i < count; i++)
        pthread_join(workers[i].thread, NULL);
}

static void run_traffic(const struct options *options, struct near *near)
{
    atomic_bool stop = false;
    struct zipf zipf;
    struct worker *workers = calloc(options->threads, sizeof *workers);
    require(workers != NULL, "there is memory for threads");
    zipf_init(&zipf, (uint32_t)options->keys, 0.9);
    for (unsigned i = 0; i < options->threads; i++) {
        workers[i] = (struct worker){ .near = near, .options = options, .zipf = &zipf, .stop = &stop, .number = i };
        workers[i].random = ms_now() << 16 ^ (uint64_t)getpid() << 6 ^ i;
    }
    printf("== %" PRIu64 " threads, %" PRIu64 " keys, %" PRIu64 "%% sets, region %" PRIu64 " bytes, %" PRIu64 " s\n",
           options->threads, options->keys, options->writes, options->region, options->seconds);
    run_threads(workers, options->threads, preload, &stop, 0);
    for (unsigned i = 0; i < options->threads; i++) {
        uint64_t random = workers[i].random;
        workers[i] = (struct worker){ .near = near, .options = options, .zipf = &zipf, .stop = &stop, .number = i,
                                      .random = random };
    }
    clock_t start = clock();
    run_threads(workers, options->threads, work, &stop, options->seconds);
    report(options, near, workers, (double)(clock() - start) / CLOCKS_PER_SEC);
    verify(options, near);
    zipf_free(&zipf);
    free(workers);
}

/* ---- the command line ---- */

static const char help[] =
    "usage: near_cache [--redis HOST:PORT] [--keys N] [--threads N] [--seconds N] [--writes PERCENT]\n"
    "                  [--region BYTES] [--ttl-ms N] [--grace-ms N] [--timeout-ms N] [commands]\n"
    "\n"
    "A cache in front of Redis 6 or later, alone or a cluster, that Redis tells what has changed.\n"
    "\n"
    "  --redis HOST:PORT    Redis, or one node of a cluster (default 127.0.0.1:6379)\n"
    "  --keys N             keys of the traffic, 1 to 10M (default 10000)\n"
    "  --threads N          1 to 64 (default 2)\n"
    "  --seconds N          how long, 1 to 86400 (default 2)\n"
    "  --writes PERCENT     sets among the calls, 0 to 100 (default 5)\n"
    "  --region BYTES       memory of the cache, 64K or more (default 4M)\n"
    "  --ttl-ms N           how long an item is fresh at most, 1 or more (default 60000)\n"
    "  --grace-ms N         how long it is served as stale while Redis does not answer (default 5000)\n"
    "  --timeout-ms N       how long an answer is waited for, 10 to 60000 (default 200)\n"
    "\n"
    "commands: reads commands from stdin, a line each, instead of making traffic:\n";

static bool read_address(struct options *options)
{
    const char *colon = strrchr(options->redis, ':');
    uint64_t port;
    if (colon == NULL || colon == options->redis || colon - options->redis >= HOST_MAX ||
        !parse_size(colon + 1, 1, PORT_MAX, &port))
        return false;
    memcpy(options->host, options->redis, (size_t)(colon - options->redis));
    options->port = (int)port;
    return true;
}

static struct options read_options(int argc, char **argv)
{
    static char text[sizeof help + sizeof commands_help];
    struct options options = { .redis = "127.0.0.1:6379", .keys = 10000, .threads = 2, .seconds = 2, .writes = 5,
                               .region = 4 << 20, .ttl_ms = 60000, .grace_ms = 5000, .timeout_ms = 200 };
    const struct program_option known[] = {
        { "redis", NULL, 0, 0, &options.redis },
        { "keys", &options.keys, 1, 10000000, NULL },
        { "threads", &options.threads, 1, THREADS_MAX, NULL },
        { "seconds", &options.seconds, 1, 86400, NULL },
        { "writes", &options.writes, 0, 100, NULL },
        { "region", &options.region, 64 << 10, SIZE_MAX / 2, NULL },
        { "ttl-ms", &options.ttl_ms, 1, UINT32_MAX, NULL },
        { "grace-ms", &options.grace_ms, 0, UINT32_MAX, NULL },
        { "timeout-ms", &options.timeout_ms, 10, 60000, NULL },
    };
    snprintf(text, sizeof text, "%s%s", help, commands_help);
    read_arguments(argc, argv, text, known, sizeof known / sizeof known[0], &options.mode);
    if (!read_address(&options)) {
        fprintf(stderr, "--redis takes HOST:PORT, not '%s'\n", options.redis);
        exit_usage(text);
    }
    if (options.mode != NULL && strcmp(options.mode, "commands") != 0) {
        fprintf(stderr, "'%s' is no mode; there is one: commands\n", options.mode);
        exit_usage(text);
    }
    options.region &= ~(uint64_t)(LARDER_ALIGN - 1);
    return options;
}

int main(int argc, char **argv)
{
    static struct near near;
    struct options options = read_options(argc, argv);
    void *region = region_new((size_t)options.region);
    signal(SIGPIPE, SIG_IGN); /* hiredis writes to connections that may be lost */
    near.ttl_ms = options.ttl_ms;
    near.grace_ms = options.grace_ms;
    near.timeout_ms = options.timeout_ms;
    near_start(&near, region, (size_t)options.region, options.host, options.port);
    const struct redis_link *first = node_at(&near.redis, 0);
    wait_until_up(first, ms_now() + START_TIMEOUTS * options.timeout_ms);
    bool is_up = atomic_load(&first->epoch) != 0;
    if (!is_up) {
        char reason[REASON_MAX];
        link_reason(node_at(&near.redis, 0), reason);
        fprintf(stderr, "near_cache: no Redis 6 or later at %s: %s\n", options.redis, reason);
    } else if (options.mode != NULL) {
        run_commands(&near);
    } else {
        run_traffic(&options, &near);
    }
    near_stop(&near);
    free(region);
    return is_up ? EXIT_SUCCESS : EXIT_FAILURE;
}
