/* See FreeRTOS.h. */
#ifndef INC_TASK_H
#define INC_TASK_H

#include <FreeRTOS.h>

TickType_t xTaskGetTickCount(void);
TickType_t xTaskGetTickCountFromISR(void);

#endif
