/* fork.c: a server that forks. Its cache is in ordinary memory, so each child has a copy. The child attaches to its
 * copy before any other call, since at the fork a thread of the parent may have held a lock inside a call.
 *
 * Build:  cc -std=c11 c-examples/fork.c -Iinclude target/lib/liblarder.a -lpthread -lm
 * Prints: worker 1: attached, N items, page 1 is "body of page 1"     (a line for each of three workers)
 *         parent: M items, its own to the end */
#define _POSIX_C_SOURCE 200809L
#include "example.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGES = 1000, WORKERS = 3 };

static alignas(LARDER_ALIGN) unsigned char region[512 * 1024];
static larder_cache *cache;
static atomic_bool stop;

static void store(uint32_t page)
{
    char body[32];
    int len = snprintf(body, sizeof body, "body of page %" PRIu32, page);
    must(larder_cache_set(cache, &page, sizeof page, body, (size_t)len, 0), "larder_cache_set");
}

/* A thread that uses the cache while the parent forks. */
static void *refresh(void *unused)
{
    (void)unused;
    for (uint32_t page = 0; !atomic_load(&stop); page++)
        store(page % PAGES);
    return NULL;
}

/* The configuration is the parent's. If it has lock hooks, initialise their lock again before. */
static void work(uint32_t number, const larder_cache_config *config)
{
    larder_attach_report report = LARDER_ATTACH_REPORT_INIT;
    must(larder_cache_attach(region, sizeof region, config, &cache, &report), "larder_cache_attach");
    store(number);
    char body[32];
    size_t len;
    must(larder_cache_get(cache, &number, sizeof number, body, sizeof body, &len), "larder_cache_get");
    printf("worker %" PRIu32 ": attached, %" PRIu64 " items, page %" PRIu32 " is \"%.*s\"\n", number,
           report.items_recovered, number, (int)len, body);
}

static void start_worker(uint32_t number, const larder_cache_config *config)
{
    fflush(stdout);
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        work(number, config);
        fflush(stdout);
        _exit(EXIT_SUCCESS);
    }
    int status;
    require(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS,
            "the worker does its work");
}

int main(int argc, char **argv)
{
    read_arguments(argc, argv,
                   "usage: fork\n"
                   "\n"
                   "A server forks three workers, each of which attaches to its own copy of the cache.\n",
                   NULL, 0, NULL);
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    must(larder_cache_init(region, sizeof region, &config, &cache), "larder_cache_init");
    for (uint32_t page = 0; page < PAGES; page++)
        store(page);

    pthread_t thread;
    require(pthread_create(&thread, NULL, refresh, NULL) == 0, "pthread_create");
    for (uint32_t number = 1; number <= WORKERS; number++)
        start_worker(number, &config);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);

    must(larder_cache_check(cache), "larder_cache_check");
    printf("parent: %" PRIu64 " items, its own to the end\n", larder_cache_item_count(cache));
    return 0;
}
