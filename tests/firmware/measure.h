/* measure.h: calls a function and measures the ticks of the call, on Cortex-M.
 *
 * The arguments are words as in Arm's procedure call standard: four in registers, the others on the stack. A 64-bit
 * number has two words, of which the first has an even index. */
#ifndef MEASURE_H
#define MEASURE_H

#include <larder.h>

#include <stdint.h>

#define CALL_WORDS 8

/* measure.c's assembler knows this layout. */
struct call {
    uint32_t function;
    uint32_t words[CALL_WORDS];
    int32_t status; /* the function's result */
    uint32_t ticks; /* of SysTick, if it runs, calling sequence included */
    uint32_t start; /* SysTick before the call */
};

/* Any function, as a number. */
#define FUNCTION(name) ((uint32_t)(uintptr_t)&(name))

void call_run(struct call *call);

/* Whether an instruction belongs to call_run itself. */
int call_run_has(uint32_t address);

/* Starts SysTick, which repeatedly counts down from 2^24 - 1, without an interrupt. */
void ticks_start(void);

/* Instructions in this number of ticks, under `-icount shift=8` on a board of 25 MHz. */
uint32_t instructions_in(uint32_t ticks);

/* Instructions of the call, from the function's first to its return. */
uint32_t call_instructions(const struct call *call);

static inline uint32_t word_of(const void *pointer)
{
    return (uint32_t)(uintptr_t)pointer;
}

static inline struct call call_get(larder_cache *cache, const void *key, size_t key_len, void *buffer, size_t capacity,
                                   size_t *len)
{
    return (struct call){ FUNCTION(larder_cache_get),
                          { word_of(cache), word_of(key), key_len, word_of(buffer), capacity, word_of(len) }, 0, 0, 0 };
}

static inline struct call call_set(larder_cache *cache, const void *key, size_t key_len, const void *value,
                                   size_t value_len, uint64_t ttl_ms)
{
    return (struct call){ FUNCTION(larder_cache_set),
                          { word_of(cache), word_of(key), key_len, word_of(value), value_len, 0, (uint32_t)ttl_ms,
                            (uint32_t)(ttl_ms >> 32) }, 0, 0, 0 };
}

static inline struct call call_delete(larder_cache *cache, const void *key, size_t key_len)
{
    return (struct call){ FUNCTION(larder_cache_delete), { word_of(cache), word_of(key), key_len }, 0, 0, 0 };
}

static inline struct call call_optimize(larder_cache *cache, uint32_t step_max)
{
    return (struct call){ FUNCTION(larder_cache_optimize), { word_of(cache), step_max, 0 }, 0, 0, 0 };
}

#endif
