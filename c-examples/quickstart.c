/* quickstart.c: a cache in 64 KiB of static memory. Sets a value, gets it, prints the bytes in use.
 * Build:  cc -std=c11 c-examples/quickstart.c -Iinclude target/lib/liblarder.a -lpthread -lm
 * Prints: greeting = hello, larder
 *         N of 65536 bytes in use                     (N depends on the version) */
#include <larder.h>
#include <stdio.h>
#include <string.h>

_Alignas(LARDER_ALIGN) static unsigned char region[64 * 1024];

static int failed(const char *call, larder_status status)
{
    fprintf(stderr, "%s: %s\n", call, larder_strerror(status));
    return 1;
}

static int usage(const char *argument)
{
    int help = strcmp(argument, "-h") == 0 || strcmp(argument, "--help") == 0;
    fputs("usage: quickstart        no arguments; sets a value and gets it\n", help ? stdout : stderr);
    return help ? 0 : 2;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return usage(argv[1]);

    larder_cache *cache;
    larder_status status = larder_cache_init(region, sizeof region, NULL, &cache);
    if (status != LARDER_OK)
        return failed("init", status);

    status = larder_cache_set(cache, "greeting", 8, "hello, larder", 13, 60 * 1000); /* for a minute */
    if (status != LARDER_OK)
        return failed("set", status);

    char value[64];
    size_t value_len;
    status = larder_cache_get(cache, "greeting", 8, value, sizeof value, &value_len);
    if (status != LARDER_OK)
        return failed("get", status);

    printf("greeting = %.*s\n", (int)value_len, value);
    printf("%zu of %zu bytes in use\n", larder_cache_memory_usage(cache), larder_cache_memory_limit(cache));
    return 0;
}
