/* example.h: tools of the example programs: a checked status, a region, statistics, the command line, time and
 * random numbers. Define _POSIX_C_SOURCE before including it. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <larder.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXIT_USAGE 2
#define OPTIONS_MAX 16

/* What to do about a status. */
static inline const char *advice(larder_status status)
{
    switch (status) {
    case LARDER_NO_MEMORY: return "give a larger region or a higher limit";
    case LARDER_TOO_LARGE: return "give a larger region, or shorter keys and values";
    case LARDER_VERSION_MISMATCH: return "build with the header of the library that is linked, or start anew";
    case LARDER_CORRUPT: return "start with a new region, and report it";
    default: return "larder.h says when this call returns it";
    }
}

/* Ends the program on an unexpected status: an example has no other way to continue. */
static inline void must(larder_status status, const char *call)
{
    if (status == LARDER_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", call, larder_strerror(status), advice(status));
    exit(EXIT_FAILURE);
}

/* Checks a promise of larder. Ends the program if it does not hold. */
static inline void require(bool holds, const char *claim)
{
    if (holds)
        return;
    fprintf(stderr, "does not hold: %s\n", claim);
    exit(EXIT_FAILURE);
}

/* `size` is a multiple of LARDER_ALIGN, as C11 requires for aligned_alloc. */
static inline void *region_new(size_t size)
{
    void *region = aligned_alloc(LARDER_ALIGN, size);
    if (region == NULL) {
        fprintf(stderr, "no memory for a region of %zu bytes: ask for a smaller one\n", size);
        exit(EXIT_FAILURE);
    }
    return region;
}

static inline larder_cache_stats_t stats_of(const larder_cache *cache)
{
    larder_cache_stats_t stats = LARDER_CACHE_STATS_INIT;
    must(larder_cache_stats(cache, &stats), "larder_cache_stats");
    return stats;
}

static inline double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

/* Reads "123", "64K", "16M" or "1G" (powers of 1024). Returns false for other text, or a number outside min..max. */
static inline bool parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (at == text)
        return false;
    unsigned shift = 0;
    switch (*at) {
    case 'k': case 'K': shift = 10; at++; break;
    case 'm': case 'M': shift = 20; at++; break;
    case 'g': case 'G': shift = 30; at++; break;
    default: break;
    }
    if (*at != '\0' || number > UINT64_MAX >> shift)
        return false;
    number <<= shift;
    if (number < min || number > max)
        return false;
    *out = number;
    return true;
}

/* ---- the command line ---- */

/* An option of a program, `--name VALUE`: a number from min to max, or any text if `text` is not NULL. */
struct program_option {
    const char *name;
    uint64_t *number, min, max;
    const char **text;
};

/* Ends the program after a message about a wrong argument. Prints `help` up to its first empty line. */
_Noreturn static inline void exit_usage(const char *help)
{
    const char *end = strstr(help, "\n\n");
    fprintf(stderr, "%.*s\n", end != NULL ? (int)(end - help) : (int)strlen(help), help);
    exit(EXIT_USAGE);
}

static inline bool take_value(const struct program_option *option, const char *text)
{
    if (option->text != NULL) {
        *option->text = text;
        return true;
    }
    if (parse_size(text, option->min, option->max, option->number))
        return true;
    fprintf(stderr, "--%s takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'\n", option->name, option->min,
            option->max, text);
    return false;
}

/* Reads the command line of a program with `count` options. `-h` and `--help` print `help` and end the program. An
 * unknown argument ends the program with EXIT_USAGE. `operand` gets the argument that is no option; NULL = the program
 * has none. */
static inline void read_arguments(int argc, char **argv, const char *help, const struct program_option *options,
                                  size_t count, const char **operand)
{
    struct option known[OPTIONS_MAX + 2] = { { "help", no_argument, NULL, 'h' } };
    int letter, index = 0;
    require(count <= OPTIONS_MAX, "a program has at most OPTIONS_MAX options");
    for (size_t i = 0; i < count; i++)
        known[i + 1] = (struct option){ options[i].name, required_argument, NULL, 0 };
    while ((letter = getopt_long(argc, argv, "h", known, &index)) != -1) {
        if (letter == 'h') {
            fputs(help, stdout);
            exit(EXIT_SUCCESS);
        }
        if (letter != 0 || options == NULL || !take_value(&options[index - 1], optarg)) /* a message was printed */
            exit_usage(help);
    }
    if (operand != NULL && optind < argc)
        *operand = argv[optind++];
    if (optind < argc) {
        fprintf(stderr, "'%s' is one argument too many\n", argv[optind]);
        exit_usage(help);
    }
}

/* ---- time and random numbers ---- */

static inline double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014): spreads a number over all 64 bits. */
static inline uint64_t mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* splitmix64: the same numbers on every machine and in every run. */
static inline uint64_t random_next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return mix64(*state);
}

/* 53 random bits as a number in [0, 1). */
static inline double unit_interval(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1.0p-53;
}

#endif
