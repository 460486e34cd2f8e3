/* shared_workers.c: a prefork server. A parent and its workers use one cache of 64 MiB in shared memory, and each 100
 * ms a worker is killed, wherever it is, and another one takes its place.
 *
 * Build:  cc -std=c11 c-examples/shared_workers.c -Iinclude target/lib/liblarder.a -lpthread -lm
 * Usage:  shared_workers [--workers N] [--seconds S] [--shards K]     8, 2 and 8 by default
 *
 * Each worker gets keys by Zipf's law, and on a miss makes the value and sets it. Every value read is checked. The
 * parent prints the statistics five times a second, from its own handle. Exit code 1 where a value was wrong, a worker
 * hung or the walker finds fault.
 *
 * Prints, with N for what depends on the machine:
 *    == 8 workers, 8 shards, 2 s
 *    N.N s    N ops/s  hits  N%  pressure  N%  N killed, N shards made whole
 *    ..
 *    == N workers killed: N values read, each as it was set */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, usleep */

#include "example.h"
#include "zipf.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGION_SIZE (UINT32_C(64) << 20)
#define KEYS 200000
#define DRAWS (UINT32_C(1) << 18)
#define WORKERS_MAX 64
#define SHARDS_MAX 64
#define KILL_INTERVAL_MS 100
#define KILLS_A_REPORT 2
#define HANG_SECONDS 30
#define WORD sizeof(uint64_t)
#define WORDS_MAX 512

struct options {
    uint64_t workers, seconds, shards;
};

/* What all of them write, beside the cache. */
struct tally {
    _Atomic uint64_t calls, values;
    atomic_uint wrong;
    atomic_bool stop;
};

static struct tally *tally;
static uint32_t *draws;

/* Memory that a child shares with its parent. */
static void *map_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "mmap gives memory");
    return memory;
}

/* ---- values ---- */

/* Its length follows from its key, and its words name the key. */
static size_t words_of_key(uint32_t key)
{
    uint32_t mixed = key * UINT32_C(2654435761);
    return mixed % 16 == 0 ? 64 + mixed / 16 % (WORDS_MAX - 64) : 1 + mixed / 16 % 40;
}

static bool is_right(uint32_t key, const uint64_t *words, size_t len)
{
    if (len != words_of_key(key) * WORD)
        return false;
    for (size_t i = 0; i < len / WORD; i++)
        if (words[i] != key + i)
            return false;
    return true;
}

/* ---- a worker ---- */

static void serve(larder_cache *cache, uint32_t key)
{
    static uint64_t words[WORDS_MAX];
    size_t len;
    larder_status status = larder_cache_get(cache, &key, sizeof key, words, sizeof words, &len);
    if (status == LARDER_OK) {
        atomic_fetch_add(&tally->values, 1);
        if (!is_right(key, words, len))
            atomic_fetch_add(&tally->wrong, 1);
        return;
    }
    require(status == LARDER_NOT_FOUND, "a get finds its value or nothing");
    for (size_t i = 0; i < words_of_key(key); i++)
        words[i] = key + i;
    must(larder_cache_set(cache, &key, sizeof key, words, words_of_key(key) * WORD, 0), "larder_cache_set");
}

/* The handle is inherited: the child has a copy of it, and the same mapping. */
static pid_t start_worker(larder_cache *cache, uint32_t first)
{
    fflush(stdout);
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child > 0)
        return child;
    alarm(HANG_SECONDS);
    for (uint32_t i = first; !atomic_load(&tally->stop); i++) {
        serve(cache, draws[i % DRAWS]);
        atomic_fetch_add(&tally->calls, 1);
    }
    _exit(EXIT_SUCCESS);
}

/* ---- the parent ---- */

static void report(const larder_cache *cache, double seconds, double interval, unsigned killed)
{
    static uint64_t calls_before;
    larder_cache_stats_t stats = stats_of(cache);
    uint64_t calls = atomic_load(&tally->calls);
    printf("%4.1f s %9.0f ops/s  hits %3.0f%%  pressure %3" PRIu32 "%%  %u killed, %" PRIu64 " shards made whole\n",
           seconds, (double)(calls - calls_before) / interval,
           100 * ratio((double)stats.hits, (double)(stats.hits + stats.misses)), stats.memory_pressure, killed,
           stats.recoveries);
    calls_before = calls;
}

/* Kills a worker, and lets another one take its place. */
static void replace(larder_cache *cache, pid_t *worker, uint32_t first)
{
    int status;
    kill(*worker, SIGKILL);
    require(waitpid(*worker, &status, 0) == *worker && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
            "a worker works until it is killed");
    must(larder_cache_reap(cache, NULL, NULL), "larder_cache_reap");
    *worker = start_worker(cache, first);
}

static void draw(void)
{
    struct zipf zipf;
    uint64_t state = 1;
    draws = malloc(DRAWS * sizeof *draws);
    require(draws != NULL, "there is memory for the workload");
    zipf_init(&zipf, KEYS, 0.99);
    for (uint32_t i = 0; i < DRAWS; i++)
        draws[i] = zipf_next(&zipf, &state);
    zipf_free(&zipf);
}

int main(int argc, char **argv)
{
    struct options options = { 8, 2, 8 };
    const struct program_option known[] = {
        { "workers", &options.workers, 1, WORKERS_MAX, NULL },
        { "seconds", &options.seconds, 1, 3600, NULL },
        { "shards", &options.shards, 1, SHARDS_MAX, NULL },
    };
    read_arguments(argc, argv,
                   "usage: shared_workers [--workers N] [--seconds S] [--shards K]\n"
                   "\n"
                   "A parent and N workers (8) use one cache of 64 MiB with K shards (8) for S seconds (2), while a\n"
                   "worker is killed and replaced every 100 ms.\n",
                   known, sizeof known / sizeof *known, NULL);
    draw();
    tally = map_shared(sizeof *tally);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.shards = (uint32_t)options.shards;
    void *handle = malloc(larder_cache_handle_size());
    require(handle != NULL, "there is memory for the handle");
    larder_cache *cache;
    must(larder_cache_share(map_shared(REGION_SIZE), REGION_SIZE, &config, handle, larder_cache_handle_size(), &cache),
         "larder_cache_share");

    printf("== %" PRIu64 " workers, %" PRIu64 " shards, %" PRIu64 " s\n", options.workers, options.shards,
           options.seconds);
    pid_t workers[WORKERS_MAX];
    for (uint32_t i = 0; i < options.workers; i++)
        workers[i] = start_worker(cache, i * 7919);
    unsigned rounds = (unsigned)(options.seconds * 1000 / KILL_INTERVAL_MS);
    for (unsigned killed = 1; killed <= rounds; killed++) {
        usleep(KILL_INTERVAL_MS * 1000);
        replace(cache, &workers[killed % options.workers], killed * 104729);
        if (killed % KILLS_A_REPORT == 0)
            report(cache, killed * KILL_INTERVAL_MS / 1000.0, KILLS_A_REPORT * KILL_INTERVAL_MS / 1000.0, killed);
    }
    atomic_store(&tally->stop, true);
    for (uint32_t i = 0; i < options.workers; i++) {
        int status;
        require(waitpid(workers[i], &status, 0) == workers[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0,
                "a worker that is not killed ends well");
    }
    must(larder_cache_check(cache), "larder_cache_check");
    require(atomic_load(&tally->wrong) == 0, "every value is as it was set");
    printf("== %u workers killed: %" PRIu64 " values read, each as it was set\n", rounds, atomic_load(&tally->values));
    free(handle);
    free(draws);
    return 0;
}
