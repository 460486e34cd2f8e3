/* share.h: a mapping that processes share, and processes that end as they are told. */
#ifndef LARDER_TESTS_SHARE_H
#define LARDER_TESTS_SHARE_H

#include "check.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A call that takes so long hangs. */
enum { HANG_SECONDS = 60 };

/* The last mappings, and their files. */
enum { SHARE_MAPS = 8 };

static struct {
    void *memory;
    int file;
} share_maps[SHARE_MAPS];
static unsigned share_count;

static inline void *share_map_file(int file, size_t size)
{
    void *memory = file < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static inline void *share_map(size_t size)
{
    unsigned at = share_count++ % SHARE_MAPS;
    if (share_count > SHARE_MAPS)
        close(share_maps[at].file);
    share_maps[at].file = memfd_create("shared", MFD_CLOEXEC);
    if (share_maps[at].file < 0 || ftruncate(share_maps[at].file, (off_t)size) != 0) {
        perror("memfd_create");
        exit(EXIT_FAILURE);
    }
    share_maps[at].memory = share_map_file(share_maps[at].file, size);
    return share_maps[at].memory;
}

/* One of them at another address. */
static inline void *share_map_again(const void *memory, size_t size)
{
    for (unsigned i = 1; i <= SHARE_MAPS && i <= share_count; i++) {
        unsigned at = (share_count - i) % SHARE_MAPS;
        if (share_maps[at].memory == memory)
            return share_map_file(share_maps[at].file, size);
    }
    return share_map_file(-1, size);
}

/* Memory of the process's own, which stays. */
static inline void *share_handle(void)
{
    void *handle =
        mmap(NULL, larder_cache_handle_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (handle == MAP_FAILED) {
        perror("mmap");
        exit(EXIT_FAILURE);
    }
    return handle;
}

static inline larder_status share_make(void *memory, size_t size, const larder_cache_config *config, larder_cache **out)
{
    return larder_cache_share(memory, size, config, share_handle(), larder_cache_handle_size(), out);
}

static inline larder_status share_join(void *memory, size_t size, const larder_cache_config *config, larder_cache **out)
{
    return larder_cache_join(memory, size, config, share_handle(), larder_cache_handle_size(), out);
}

/* The child's number in the parent, 0 in the child. */
static inline pid_t share_fork(void)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(EXIT_FAILURE);
    }
    if (child == 0)
        alarm(HANG_SECONDS);
    return child;
}

/* How a child ended: its exit code, or minus the signal that ended it. */
static inline int share_wait(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1000;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline larder_cache_stats_t share_stats(const larder_cache *cache)
{
    larder_cache_stats_t stats = LARDER_CACHE_STATS_INIT;
    CHECK_STATUS(larder_cache_stats(cache, &stats), LARDER_OK);
    return stats;
}

static inline uint64_t share_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

#endif
