/* warm_restart.c: a cache in a mapped file outlives the process that filled it.
 *
 * The parent starts a worker, which maps the file, locks it, attaches to its cache (or makes one) and works. The parent
 * kills the worker with SIGKILL during its work and starts the next one, several times. Each worker prints the number
 * of items that it recovered. The last one checks every value, and compares the time of attaching with that of filling
 * the cache again.
 *
 * Usage:  warm_restart [--size BYTES] [--rounds N] [--file PATH]       64M, 5 and a file in /tmp by default
 *
 * The host must make sure that the file has one owner at a time: here by flock. */
#define _DEFAULT_SOURCE
#include "example.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VALUE_WORDS_MAX = 32, RUN_MS = 300 };

struct options {
    size_t size;
    uint64_t rounds;
    const char *path;
};

/* ---- the values ---- */

/* A value contains its key, its version and its own hash. It has 4 to 32 words. */
static size_t make_value(uint64_t n, uint64_t version, uint64_t *words)
{
    size_t count = 4 + mix64(n) % (VALUE_WORDS_MAX - 3);
    uint64_t state = n ^ version << 32;
    words[0] = n;
    words[1] = version;
    for (size_t i = 2; i < count; i++)
        words[i] = random_next(&state);
    return count * sizeof words[0];
}

static bool is_right(uint64_t n, const uint64_t *words, size_t len)
{
    uint64_t want[VALUE_WORDS_MAX];
    return len >= 4 * sizeof words[0] && words[0] == n && len == make_value(n, words[1], want) &&
           memcmp(words, want, len) == 0;
}

static uint64_t keys_for(size_t size)
{
    return size / 160;
}

static void store(larder_cache *cache, uint64_t n, uint64_t version)
{
    uint64_t words[VALUE_WORDS_MAX];
    size_t len = make_value(n, version, words);
    must(larder_cache_set(cache, &n, sizeof n, words, len, version % 2 ? 3600 * 1000 : LARDER_TTL_NEVER), "set");
}

/* ---- the file ---- */

static void *map_file(const struct options *options)
{
    int fd = open(options->path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)options->size) != 0) {
        perror(options->path);
        exit(EXIT_FAILURE);
    }
    /* The lock is held until the process ends in any way. */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        fprintf(stderr, "%s has another owner: wait for its end, or name another --file\n", options->path);
        exit(EXIT_FAILURE);
    }
    void *region = mmap(NULL, options->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (region == MAP_FAILED) {
        perror("mmap");
        exit(EXIT_FAILURE);
    }
    return region;
}

/* Attaches to the file's cache, or makes a new one. */
static larder_cache *open_cache(const struct options *options, void *region, larder_attach_report *report)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    larder_cache *cache;
    config.flags = LARDER_CHECKSUM;
    larder_status status = larder_cache_attach(region, options->size, &config, &cache, report);
    if (status == LARDER_NOT_FOUND || status == LARDER_VERSION_MISMATCH)
        status = larder_cache_init(region, options->size, &config, &cache);
    must(status, "attach or init");
    return cache;
}

/* ---- the worker ---- */

static void print_report(uint64_t round, const larder_attach_report *report, double seconds)
{
    if (report->found != LARDER_FOUND_CACHE) {
        printf("worker %llu: no cache there, made one\n", (unsigned long long)round);
        return;
    }
    printf("worker %llu: %llu items are back in %.1f ms (%.1f million a second); dropped: %llu torn, %llu damaged, "
           "%llu twice there, %llu expired\n",
           (unsigned long long)round, (unsigned long long)report->items_recovered, seconds * 1e3,
           (double)report->items_recovered / 1e6 / seconds, (unsigned long long)report->items_torn,
           (unsigned long long)report->items_corrupt, (unsigned long long)report->items_duplicate,
           (unsigned long long)report->items_expired);
}

/* Sets and reads until it is killed. */
static void work_until_killed(larder_cache *cache, const struct options *options, uint64_t round)
{
    uint64_t state = round, words[VALUE_WORDS_MAX], version = round << 40;
    for (;;) {
        uint64_t n = random_next(&state) % keys_for(options->size);
        size_t len;
        larder_status status = larder_cache_get(cache, &n, sizeof n, words, sizeof words, &len);
        if (status == LARDER_OK)
            require(is_right(n, words, len), "a value that comes back is one that was set");
        if (status != LARDER_OK || random_next(&state) % 4 == 0)
            store(cache, n, ++version);
    }
}

static void worker(const struct options *options, uint64_t round, int ready)
{
    larder_attach_report report;
    void *region = map_file(options);
    double start = seconds_now();
    larder_cache *cache = open_cache(options, region, &report);
    print_report(round, &report, seconds_now() - start);
    must(larder_cache_check(cache), "larder_cache_check");
    fflush(stdout);
    require(write(ready, "", 1) == 1, "the parent is told");
    work_until_killed(cache, options, round);
}

/* ---- the parent ---- */

static void sleep_ms(long ms)
{
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    while (nanosleep(&time, &time) != 0 && errno == EINTR) {
    }
}

static void run_and_kill(const struct options *options, uint64_t round)
{
    int ready[2], status;
    char byte;
    require(pipe(ready) == 0, "a pipe");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(ready[0]);
        worker(options, round, ready[1]);
        _exit(EXIT_FAILURE);
    }
    close(ready[1]);
    require(read(ready[0], &byte, 1) == 1, "the worker has started");
    sleep_ms(RUN_MS + (long)(mix64(round) % 97));
    kill(pid, SIGKILL);
    require(waitpid(pid, &status, 0) == pid, "the worker ends");
    require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the worker worked until it was killed");
    close(ready[0]);
}

/* Checks every item, then sets the same items again to measure the time. */
static void compare(const struct options *options)
{
    larder_attach_report report;
    void *region = map_file(options);
    double start = seconds_now();
    larder_cache *cache = open_cache(options, region, &report);
    double attached = seconds_now() - start;
    uint64_t right = 0, words[VALUE_WORDS_MAX];
    for (uint64_t n = 0; n < keys_for(options->size); n++) {
        size_t len;
        if (larder_cache_get(cache, &n, sizeof n, words, sizeof words, &len) != LARDER_OK)
            continue;
        require(is_right(n, words, len), "a value that comes back is one that was set");
        right++;
    }
    require(right == report.items_recovered, "what is back can be read");
    must(larder_cache_check(cache), "larder_cache_check");
    print_report(options->rounds, &report, attached);

    must(larder_cache_clear(cache), "larder_cache_clear");
    start = seconds_now();
    for (uint64_t n = 0; n < right; n++)
        store(cache, n, 1);
    double filled = seconds_now() - start;
    printf("every one of %llu values is right; attaching took %.1f ms, setting as many anew %.1f ms\n",
           (unsigned long long)right, attached * 1e3, filled * 1e3);
}

static struct options read_options(int argc, char **argv)
{
    uint64_t size = 64 << 20;
    struct options options = { .rounds = 5, .path = "/tmp/larder-warm-restart.cache" };
    const struct program_option known[] = {
        { "size", &size, 64 << 10, SIZE_MAX / 2, NULL },
        { "rounds", &options.rounds, 1, 1000, NULL },
        { "file", NULL, 0, 0, &options.path },
    };
    read_arguments(argc, argv,
                   "usage: warm_restart [--size BYTES] [--rounds N] [--file PATH]\n"
                   "\n"
                   "Kills processes that use the cache in a mapped file, and finds its items again.\n"
                   "\n"
                   "  --size BYTES    the file's size, 64K or more, powers of 1024 (default 64M)\n"
                   "  --rounds N      processes that are killed, 1 to 1000 (default 5)\n"
                   "  --file PATH     the file; it is removed first and at the end\n"
                   "                  (default /tmp/larder-warm-restart.cache)\n",
                   known, 3, NULL);
    options.size = (size_t)size & ~(size_t)4095;
    return options;
}

int main(int argc, char **argv)
{
    struct options options = read_options(argc, argv);
    unlink(options.path);
    for (uint64_t round = 0; round < options.rounds; round++)
        run_and_kill(&options, round);
    compare(&options);
    unlink(options.path);
    return EXIT_SUCCESS;
}
