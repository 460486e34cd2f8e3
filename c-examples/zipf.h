/* zipf.h: keys of a generated workload: ranks 0..count by Zipf's law, and a fixed size for each.
 * Link with -lm. */
#ifndef ZIPF_H
#define ZIPF_H

#include "example.h"

#include <math.h>

/* share[k] = the probability that a rank is at most k. 8 bytes a rank give the exact law in few lines of code. */
struct zipf {
    double *share;
    uint32_t count;
};

/* `count` is at least 1. The probability of rank k is proportional to 1 / (k + 1)^alpha. */
static inline void zipf_init(struct zipf *zipf, uint32_t count, double alpha)
{
    zipf->count = count;
    zipf->share = malloc(count * sizeof *zipf->share);
    if (zipf->share == NULL) {
        fprintf(stderr, "no memory for a workload of %u keys\n", (unsigned)count);
        exit(EXIT_FAILURE);
    }
    double sum = 0;
    for (uint32_t k = 0; k < count; k++) {
        sum += pow(k + 1.0, -alpha);
        zipf->share[k] = sum;
    }
    for (uint32_t k = 0; k < count; k++)
        zipf->share[k] /= sum;
}

static inline void zipf_free(struct zipf *zipf)
{
    free(zipf->share);
    zipf->share = NULL;
}

/* The first rank whose share is above a random point. There is one: the last share is 1, and the point is below 1. */
static inline uint32_t zipf_next(const struct zipf *zipf, uint64_t *random)
{
    double point = unit_interval(random_next(random));
    uint32_t low = 0, high = zipf->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zipf->share[middle] > point)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The size of a key's value: 16..4096 bytes, log-uniform, so there are as many in 16..32 as in 2048..4096. */
static inline uint32_t size_of_key(uint32_t id)
{
    return (uint32_t)exp2(4 + 8 * unit_interval(mix64(id + UINT64_C(0x9e3779b97f4a7c15))));
}

#endif
