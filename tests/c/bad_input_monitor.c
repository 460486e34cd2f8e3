/* bad_input_monitor.c: every bad value of every parameter of the monitor's calls is refused and changes nothing. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024 };

struct monitor_config_case {
    const char *name;
    void (*spoil)(larder_monitor_config *config);
    larder_status want;
};

static void mc_size_0(larder_monitor_config *c)
{
    c->struct_size = 0;
}

static void mc_size_4(larder_monitor_config *c)
{
    c->struct_size = 4;
}

static void mc_size_above(larder_monitor_config *c)
{
    c->struct_size = (uint32_t)sizeof *c + 8;
}

static void mc_abi_0(larder_monitor_config *c)
{
    c->abi_version = 0;
}

static void mc_abi_2(larder_monitor_config *c)
{
    c->abi_version = 2;
}

static void mc_interval_0(larder_monitor_config *c)
{
    c->interval_ms = 0;
}

static void mc_high_0(larder_monitor_config *c)
{
    c->high_percent = 0;
}

static void mc_high_101(larder_monitor_config *c)
{
    c->high_percent = 101;
}

static void mc_high_max(larder_monitor_config *c)
{
    c->high_percent = UINT32_MAX;
}

static void mc_low_above_high(larder_monitor_config *c)
{
    c->high_percent = 60;
    c->low_percent = 61;
}

static void mc_low_max(larder_monitor_config *c)
{
    c->low_percent = UINT32_MAX;
}

static const struct monitor_config_case monitor_config_cases[] = {
    {"struct_size 0", mc_size_0, LARDER_INVALID},
    {"struct_size 4", mc_size_4, LARDER_INVALID},
    {"struct_size + 8", mc_size_above, LARDER_VERSION_MISMATCH},
    {"abi_version 0", mc_abi_0, LARDER_VERSION_MISMATCH},
    {"abi_version 2", mc_abi_2, LARDER_VERSION_MISMATCH},
    {"interval_ms 0", mc_interval_0, LARDER_INVALID},
    {"high_percent 0", mc_high_0, LARDER_INVALID},
    {"high_percent 101", mc_high_101, LARDER_INVALID},
    {"high_percent UINT32_MAX", mc_high_max, LARDER_INVALID},
    {"low_percent above high_percent", mc_low_above_high, LARDER_INVALID},
    {"low_percent UINT32_MAX", mc_low_max, LARDER_INVALID},
};

static void monitor_inits(larder_cache *cache)
{
    larder_monitor monitor, dirt;
    larder_monitor_config config;
    memset(&monitor, DIRT_BYTE, sizeof monitor);
    memset(&dirt, DIRT_BYTE, sizeof dirt);
    for (size_t i = 0; i < sizeof monitor_config_cases / sizeof monitor_config_cases[0]; i++) {
        const struct monitor_config_case *c = &monitor_config_cases[i];
        set_context("monitor_init", c->name);
        CHECK_STATUS(larder_monitor_config_init(&config, sizeof config), LARDER_OK);
        c->spoil(&config);
        CHECK_STATUS(larder_monitor_init(&monitor, cache, &config), c->want);
        CHECK(memcmp(&monitor, &dirt, sizeof monitor) == 0);
    }
    set_context("monitor_init", "NULL");
    CHECK_STATUS(larder_monitor_config_init(&config, sizeof config), LARDER_OK);
    CHECK_STATUS(larder_monitor_init(NULL, cache, &config), LARDER_INVALID);
    CHECK_STATUS(larder_monitor_init(&monitor, NULL, &config), LARDER_INVALID);
    CHECK(memcmp(&monitor, &dirt, sizeof monitor) == 0);

    /* a monitor that was never set up, in zeroed memory */
    set_context("monitor", "never set up");
    memset(&monitor, 0, sizeof monitor);
    CHECK_STATUS(larder_monitor_poll(&monitor, 1000), ANY_ERROR);
    CHECK_STATUS(larder_monitor_start(&monitor), ANY_ERROR);
}

static void monitor_calls(void)
{
    struct region region = region_new(REGION_SIZE);
    larder_cache *cache = cache_new(&region, NULL);
    larder_monitor monitor;
    larder_monitor_config config;
    larder_monitor_stats_t before, after;
    larder_monitor_sample samples[64];
    uint32_t count = 77;
    monitor_inits(cache);

    set_context("monitor", "bad arguments");
    CHECK_STATUS(larder_monitor_config_init(&config, sizeof config), LARDER_OK);
    if (!CHECK_STATUS(larder_monitor_init(&monitor, cache, &config), LARDER_OK))
        return;
    CHECK_STATUS(larder_monitor_poll(&monitor, 5000), LARDER_OK);
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    memset(samples, DIRT_BYTE, sizeof samples);
    CHECK_STATUS(larder_monitor_stats(&monitor, &before), LARDER_OK);
    CHECK_STATUS(larder_monitor_poll(NULL, 1000 * 1000), LARDER_INVALID);
    CHECK_STATUS(larder_monitor_start(NULL), LARDER_INVALID);
    CHECK_STATUS(larder_monitor_stop(NULL), LARDER_INVALID);
    CHECK_STATUS(larder_monitor_set_interval(NULL, 1000), LARDER_INVALID);
    CHECK_STATUS(larder_monitor_set_interval(&monitor, 0), LARDER_INVALID);
    CHECK_STATUS(larder_monitor_stats(NULL, &after), LARDER_INVALID);
    CHECK(all_bytes_are(&after, sizeof after, 0));
    CHECK_STATUS(larder_monitor_stats(&monitor, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_monitor_history(NULL, samples, 64, &count), LARDER_INVALID);
    CHECK_STATUS(larder_monitor_history(&monitor, NULL, 64, &count), LARDER_INVALID);
    CHECK_STATUS(larder_monitor_history(&monitor, NULL, UINT32_MAX, &count), LARDER_INVALID);
    CHECK_STATUS(larder_monitor_history(&monitor, samples, 64, NULL), LARDER_INVALID);
    CHECK(count == 77);
    CHECK(all_bytes_are(samples, sizeof samples, DIRT_BYTE));
    CHECK_STATUS(larder_monitor_stats(&monitor, &after), LARDER_OK);
    CHECK(memcmp(&before, &after, sizeof before) == 0);

    /* stop succeeds for a monitor that does not run */
    CHECK_STATUS(larder_monitor_stop(&monitor), LARDER_OK);
    CHECK_STATUS(larder_monitor_stop(&monitor), LARDER_OK);
    check_cache(cache, &region);
    region_free(&region);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    monitor_calls();
    return check_end("bad_input_monitor");
}
