/* POSIX.1-2008; link with -lrt where the C library wants that. */
#include <fcntl.h>
#include <larder.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

larder_cache *enter(const char *name, size_t size, const larder_cache_config *config)
{
    size_t handle_size = larder_cache_handle_size();
    void *handle = malloc(handle_size);
    larder_cache *cache = NULL;
    int file = shm_open(name, O_RDWR | O_CREAT, 0600);
    /* Reserved before it is touched: where /dev/shm is full, touching is SIGBUS. */
    if (handle == NULL || file < 0 || posix_fallocate(file, 0, (off_t)size) != 0)
        return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED)
        return NULL;
    for (;;) {
        larder_status status = larder_cache_share(memory, size, config, handle, handle_size, &cache);
        if (status == LARDER_EXISTS)
            status = larder_cache_join(memory, size, config, handle, handle_size, &cache);
        /* Another one is making it, or ended while it did. */
        if (status != LARDER_BUSY && status != LARDER_NOT_FOUND)
            return cache;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}
