/* stats_file.h: offers a cache's statistics in a mapped file, which `larder-tool top FILE` shows live.
 *
 *   struct stats_file *file = stats_file_open("/tmp/cache.stats");
 *   for (;;) {                                     every second or so, in one thread
 *       stats_file_write(file, cache, &config);
 *       ..
 *   }
 *
 * The sequence number is odd while the file is written: a reader that sees an odd number, or another one before and
 * after, reads again. The seed of the hash, and addresses, are not written. */
#ifndef STATS_FILE_H
#define STATS_FILE_H

#include <larder.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define STATS_FILE_MAGIC "larder-1"
#define STATS_FILE_OWNERS 4

struct stats_file {
    char magic[8];
    uint32_t stats_size, owner_size, config_size; /* of the structures below */
    uint32_t process;
    _Atomic uint32_t sequence;
    uint32_t unused;
    uint64_t time_ms; /* since 1970 */
    larder_cache_stats_t stats;
    larder_class_stats owners[STATS_FILE_OWNERS]; /* in the order of LARDER_OWNER_.. */
    larder_cache_config config;
};

/* Makes the file; NULL where that fails, and errno says why. */
static inline struct stats_file *stats_file_open(const char *path)
{
    struct stats_file *file = MAP_FAILED;
    int descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (descriptor < 0)
        return NULL;
    if (ftruncate(descriptor, (off_t)sizeof *file) == 0)
        file = mmap(NULL, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (file == MAP_FAILED)
        return NULL;
    file->stats_size = sizeof file->stats;
    file->owner_size = sizeof file->owners[0];
    file->config_size = sizeof file->config;
    file->process = (uint32_t)getpid();
    return file;
}

/* One thread at a time. */
static inline void stats_file_write(struct stats_file *file, const larder_cache *cache,
                                    const larder_cache_config *config)
{
    larder_cache_stats_t stats = LARDER_CACHE_STATS_INIT;
    larder_class_stats owners[STATS_FILE_OWNERS] = { LARDER_CLASS_STATS_INIT };
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_REALTIME, &now);
    larder_status status = larder_cache_stats(cache, &stats);
    for (uint32_t owner = 0; status == LARDER_OK && owner < STATS_FILE_OWNERS; owner++) {
        owners[owner] = (larder_class_stats)LARDER_CLASS_STATS_INIT;
        status = larder_cache_class_stats(cache, owner, &owners[owner]);
    }
    if (status != LARDER_OK) /* LARDER_BUSY from inside a callback: the next time */
        return;
    uint32_t sequence = atomic_load_explicit(&file->sequence, memory_order_relaxed) | 1;
    atomic_store_explicit(&file->sequence, sequence, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    file->time_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    file->stats = stats;
    memcpy(file->owners, owners, sizeof owners);
    file->config = (larder_cache_config){
        .struct_size = config->struct_size, .abi_version = config->abi_version,
        .memory_limit = config->memory_limit, .key_len_max = config->key_len_max,
        .value_len_max = config->value_len_max, .expected_items = config->expected_items,
        .policy = config->policy, .shards = config->shards, .default_ttl_ms = config->default_ttl_ms,
        .flags = config->flags, .pins_max = config->pins_max, .grace_ms = config->grace_ms,
    };
    memcpy(file->magic, STATS_FILE_MAGIC, sizeof file->magic);
    atomic_store_explicit(&file->sequence, sequence + 1, memory_order_release);
}

static inline void stats_file_close(struct stats_file *file)
{
    munmap(file, sizeof *file);
}

#endif
