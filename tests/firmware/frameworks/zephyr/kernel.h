/* Stands in for Zephyr's header, in what docs/firmware.md uses of it: to be compiled with, not to be linked. */
#ifndef ZEPHYR_INCLUDE_KERNEL_H_
#define ZEPHYR_INCLUDE_KERNEL_H_

#include <stdint.h>

typedef struct {
    int64_t ticks;
} k_timeout_t;

struct k_sem {
    void *waiting;
    unsigned int count, limit;
};

#define K_NO_WAIT ((k_timeout_t){ 0 })
#define K_FOREVER ((k_timeout_t){ -1 })
#define K_SEM_DEFINE(name, initial, most) struct k_sem name = { 0, (initial), (most) }

int k_sem_take(struct k_sem *semaphore, k_timeout_t timeout);
void k_sem_give(struct k_sem *semaphore);
int64_t k_uptime_get(void);

#endif
