/* histogram.h: how often a call took how long: sixteen steps for each power of two, so a time is known to 6%. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include "example.h"

#define HISTOGRAM_STEPS 16
#define HISTOGRAM_BUCKETS (61 * HISTOGRAM_STEPS)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS], total;
};

/* The smallest time that belongs to a bucket. */
static inline uint64_t histogram_edge(unsigned bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    return (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << (bucket / HISTOGRAM_STEPS - 1);
}

static inline void histogram_add(struct histogram *histogram, uint64_t ns)
{
    unsigned shift = 0;
    while (ns >> shift >= 2 * HISTOGRAM_STEPS)
        shift++;
    unsigned bucket = ns < HISTOGRAM_STEPS ? (unsigned)ns : shift * HISTOGRAM_STEPS + (unsigned)(ns >> shift);
    histogram->counts[bucket]++;
    histogram->total++;
}

static inline void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->counts[i] += from->counts[i];
    into->total += from->total;
}

/* The time, in nanoseconds, that `share` of the calls did not exceed; 0 where there were no calls. */
static inline uint64_t histogram_percentile(const struct histogram *histogram, double share)
{
    uint64_t seen = 0;
    double wanted = share * (double)histogram->total;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen > 0 && (double)seen >= wanted)
            return histogram_edge(i + 1);
    }
    return 0;
}

/* One line for each power of two: from which time on, how many calls, and a bar. */
static inline void histogram_print(const struct histogram *histogram, const char *name)
{
    for (unsigned first = 0; first < HISTOGRAM_BUCKETS; first += HISTOGRAM_STEPS) {
        uint64_t calls = 0;
        for (unsigned i = first; i < first + HISTOGRAM_STEPS; i++)
            calls += histogram->counts[i];
        if (calls == 0)
            continue;
        int bar = (int)(50 * ratio((double)calls, (double)histogram->total) + 0.5);
        printf("%-5s from %10.3f us %10" PRIu64 " calls %.*s\n", name, (double)histogram_edge(first) / 1e3, calls, bar,
               "##################################################");
    }
}

#endif
