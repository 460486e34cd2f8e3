/* Stands in for the headers of FreeRTOS, in what docs/firmware.md uses of them: for compiling, not for linking. */
#ifndef FREERTOS_H
#define FREERTOS_H

#include <stdint.h>

#define configTICK_RATE_HZ 1000
#define pdFALSE ((BaseType_t)0)
#define pdTRUE ((BaseType_t)1)
#define portMAX_DELAY ((TickType_t)0xFFFFFFFF)
#define portYIELD_FROM_ISR(woken) vPortYield(woken)

typedef long BaseType_t;
typedef uint32_t TickType_t;

BaseType_t xPortIsInsideInterrupt(void);
void vPortYield(BaseType_t woken);

#endif
