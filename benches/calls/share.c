/* share.c: what it costs that processes share a cache. Counts the instructions of single calls, the C library's mutex
 * included, by stepping through them in a child; and the calls of two processes on two processors beside one.
 * Prints a table for each. Linux alone. */
#define _GNU_SOURCE
#include <larder.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 64 << 20, KEYS = 100000, CALLS = 64, VALUE = 64, ROUNDS = 7, MEASURE_MS = 300, PROCESSES_MAX = 8 };

static void must(int holds, const char *what)
{
    if (!holds) {
        perror(what);
        exit(EXIT_FAILURE);
    }
}

static void *map(int flags, size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED, "mmap");
    return memory;
}

static larder_cache *make(void *memory, uint32_t shards, int shares)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    larder_cache *cache = NULL;
    size_t own = larder_cache_handle_size();
    config.shards = shards;
    larder_status status = shares ? larder_cache_share(memory, SIZE, &config, map(MAP_PRIVATE, own), own, &cache)
                                  : larder_cache_init(memory, SIZE, &config, &cache);
    must(status == LARDER_OK, "making a cache");
    char value[VALUE] = "value";
    for (uint64_t name[2] = {0, 1}; name[0] < KEYS; name[0]++)
        must(larder_cache_set(cache, name, sizeof name, value, sizeof value, LARDER_TTL_NEVER) == LARDER_OK, "set");
    return cache;
}

static larder_cache *join(void *memory, uint32_t shards)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    larder_cache *cache = NULL;
    size_t own = larder_cache_handle_size();
    config.shards = shards;
    void *again = mremap(memory, 0, SIZE, MREMAP_MAYMOVE);
    must(again != MAP_FAILED, "mremap");
    must(larder_cache_join(again, SIZE, &config, map(MAP_PRIVATE, own), own, &cache) == LARDER_OK, "join");
    return cache;
}

/* ---- instructions ---- */

static char buffer[VALUE];
static uint64_t key[2] = {0, 1};

static void call_nothing(larder_cache *cache)
{
    __asm__ volatile("" : : "r"(cache) : "memory");
}

static void call_get(larder_cache *cache)
{
    size_t len;
    (void)larder_cache_get(cache, key, sizeof key, buffer, sizeof buffer, &len);
}

static void call_set(larder_cache *cache)
{
    (void)larder_cache_set(cache, key, sizeof key, buffer, sizeof buffer, LARDER_TTL_NEVER);
}

static void call_delete(larder_cache *cache)
{
    (void)larder_cache_delete(cache, key, sizeof key);
}

static pthread_mutex_t *mutex;

static void call_mutex(larder_cache *cache)
{
    (void)cache;
    pthread_mutex_trylock(mutex);
    pthread_mutex_unlock(mutex);
}

static void make_mutex(void)
{
    pthread_mutexattr_t attributes;
    mutex = map(MAP_SHARED, sizeof *mutex);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    must(pthread_mutex_init(mutex, &attributes) == 0, "pthread_mutex_init");
}

static int by_size(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

/* The median of several calls, each of another key; the last one `other`, where there is one, was at work before. */
static uint32_t instructions(void (*run)(larder_cache *), larder_cache *cache, larder_cache *other, uint64_t first)
{
    static uint32_t counts[CALLS];
    fflush(stdout);
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        for (uint32_t i = 0; i < 2 * CALLS; i++) {
            key[0] = first + i * 37;
            if (other != NULL)
                call_get(other);
            kill(getpid(), SIGSTOP);
            run(cache);
            kill(getpid(), SIGSTOP);
        }
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    for (uint32_t i = 0; i < 2 * CALLS; i++) {
        uint32_t steps = 0;
        /* From one stop to the next; of a call that is made often, all its code is in place. */
        for (;;) {
            ptrace(i < CALLS ? PTRACE_CONT : PTRACE_SINGLESTEP, child, NULL, NULL);
            waitpid(child, &status, 0);
            must(WIFSTOPPED(status), "a child that stops");
            if (WSTOPSIG(status) == SIGSTOP)
                break;
            steps++;
        }
        counts[i % CALLS] = steps;
        ptrace(PTRACE_CONT, child, NULL, NULL);
        waitpid(child, &status, 0);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    qsort(counts, CALLS, sizeof *counts, by_size);
    return counts[CALLS / 2];
}

static void print_instructions(void)
{
    static const struct {
        const char *name;
        void (*run)(larder_cache *);
        uint64_t first;
    } calls[] = {{"get, hit", call_get, 0},
                 {"get, miss", call_get, KEYS},
                 {"set over", call_set, 0},
                 {"set new", call_set, KEYS},
                 {"delete", call_delete, 0}};
    make_mutex();
    void *memory = map(MAP_SHARED, SIZE);
    larder_cache *cache = make(memory, 1, 1);
    printf("The mutex alone, tried and unlocked: %" PRIu32 " instructions.\n\n",
           instructions(call_mutex, cache, NULL, 0) - instructions(call_nothing, cache, NULL, 0));
    munmap(memory, SIZE);
    puts("| instructions of a call | one process | shared | shared, after another address |\n|---|---|---|---|");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        void *one = map(MAP_SHARED, SIZE), *two = map(MAP_SHARED, SIZE);
        larder_cache *alone = make(one, 1, 0), *shared = make(two, 1, 1), *elsewhere = join(two, 1);
        uint64_t first = calls[i].first;
        uint32_t none = instructions(call_nothing, alone, NULL, first);
        printf("| %s | %" PRIu32, calls[i].name, instructions(calls[i].run, alone, NULL, first) - none);
        printf(" | %" PRIu32, instructions(calls[i].run, shared, NULL, first) - none);
        printf(" | %" PRIu32 " |\n", instructions(calls[i].run, shared, elsewhere, first + 7) - none);
        munmap(one, SIZE);
        munmap(two, SIZE);
    }
}

/* ---- speed ---- */

struct race {
    int go, stop;
    uint64_t calls[PROCESSES_MAX];
};

static void run(larder_cache *cache, struct race *race, uint32_t number)
{
    uint64_t state = number + 1, count = 0, name[2] = {0, 1};
    char value[VALUE];
    size_t len;
    while (!__atomic_load_n(&race->go, __ATOMIC_ACQUIRE)) {
    }
    while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        name[0] = (state >> 33) % KEYS;
        if (state >> 60 == 0)
            (void)larder_cache_set(cache, name, sizeof name, buffer, sizeof buffer, LARDER_TTL_NEVER);
        else
            (void)larder_cache_get(cache, name, sizeof name, value, sizeof value, &len);
        count++;
    }
    race->calls[number] = count;
    _exit(0);
}

static uint64_t calls_of(larder_cache *cache, uint32_t processes)
{
    struct race *race = map(MAP_SHARED, sizeof *race);
    pid_t children[PROCESSES_MAX];
    uint64_t sum = 0;
    fflush(stdout);
    for (uint32_t i = 0; i < processes; i++) {
        children[i] = fork();
        must(children[i] >= 0, "fork");
        if (children[i] == 0)
            run(cache, race, i);
    }
    __atomic_store_n(&race->go, 1, __ATOMIC_RELEASE);
    usleep(MEASURE_MS * 1000);
    __atomic_store_n(&race->stop, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < processes; i++) {
        waitpid(children[i], NULL, 0);
        sum += race->calls[i];
    }
    munmap(race, sizeof *race);
    return sum;
}

/* Ratios of runs that alternate, the median of them. */
static void print_speed(uint32_t shards)
{
    larder_cache *cache = make(map(MAP_SHARED, SIZE), shards, 1);
    double ratios[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        double one = (double)calls_of(cache, 1), two = (double)calls_of(cache, 2);
        ratios[round] = two / one;
        for (int at = round; at > 0 && ratios[at] < ratios[at - 1]; at--) {
            double less = ratios[at];
            ratios[at] = ratios[at - 1];
            ratios[at - 1] = less;
        }
    }
    printf("| %" PRIu32 " | %.2f | %.2f to %.2f |\n", shards, ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
}

int main(void)
{
    print_instructions();
    puts("\n| shards | two processes: times the calls of one | range |\n|---|---|---|");
    print_speed(1);
    print_speed(8);
    return 0;
}
