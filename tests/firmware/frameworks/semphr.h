/* See FreeRTOS.h. */
#ifndef SEMPHR_H
#define SEMPHR_H

#include <FreeRTOS.h>

typedef struct QueueDefinition *SemaphoreHandle_t;
typedef struct {
    void *pointers[4];
    uint32_t words[16];
} StaticSemaphore_t;

SemaphoreHandle_t xSemaphoreCreateBinaryStatic(StaticSemaphore_t *memory);
BaseType_t xSemaphoreTake(SemaphoreHandle_t semaphore, TickType_t delay);
BaseType_t xSemaphoreTakeFromISR(SemaphoreHandle_t semaphore, BaseType_t *woken);
BaseType_t xSemaphoreGive(SemaphoreHandle_t semaphore);
BaseType_t xSemaphoreGiveFromISR(SemaphoreHandle_t semaphore, BaseType_t *woken);

#endif
