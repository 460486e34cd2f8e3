/* dns_check.c: checks of the DNS cache, on a clock that this file sets.
 *
 * A list of all hosts has the answer stored last for each, and its end. An answer found must be that answer, before its
 * end. An answer not found was never stored, has expired, or was evicted. The cache must count as many evictions. */
#include "check.h"
#include "dns_cache.h"
#include "parts.h"

#include <string.h>

#define HOSTS 64
#define LOOKUPS 4000
#define TICK_MS 250
#define MONITOR_INTERVAL_MS 5000

static uint64_t uptime_ms;
static uint32_t lost; /* answers that were gone before their time */

static struct host {
    uint32_t ends_ms; /* 0 = no answer is stored */
    uint16_t version;
} hosts[HOSTS];

static const char *name_of(unsigned host)
{
    static const char *const forms[3] = { "mail-%u.example.org", "ns%u.example.net", "a-longer-name-%u.example.com" };
    static char name[40];
    snprintf(name, sizeof name, forms[host % 3], host);
    return name;
}

/* Every answer contains its host and version. Answers have different lengths. */
static struct dns_answer answer_of(unsigned host, unsigned version)
{
    struct dns_answer answer = { .count = (uint8_t)(version % (DNS_ADDRESSES_MAX + 1)) };
    for (unsigned i = 0; i < answer.count; i++) {
        const uint8_t address[4] = { 10, (uint8_t)host, (uint8_t)version, (uint8_t)i };
        memcpy(answer.addresses[i], address, sizeof address);
    }
    return answer;
}

static bool answers_equal(const struct dns_answer *a, const struct dns_answer *b)
{
    return a->count == b->count && memcmp(a->addresses, b->addresses, 4 * (size_t)a->count) == 0;
}

static bool is_alive(const struct host *host)
{
    return host->ends_ms > uptime_ms;
}

/* Gets an answer from the cache, and compares it. */
static bool find(unsigned number)
{
    struct host *host = &hosts[number];
    struct dns_answer found, stored = answer_of(number, host->version);
    larder_status status = dns_cache_find(name_of(number), &found);
    if (status == LARDER_OK) {
        CHECK(is_alive(host));
        CHECK(answers_equal(&found, &stored));
        return true;
    }
    CHECK(status == LARDER_NOT_FOUND);
    if (is_alive(host))
        lost++;
    host->ends_ms = 0;
    return false;
}

/* Stores the name server's next answer. */
static void keep(unsigned number, uint32_t ttl_s)
{
    struct host *host = &hosts[number];
    const char *name = name_of(number);
    if (is_alive(host) && larder_cache_contains(dns_cache_handle(), name, strlen(name)) != LARDER_OK)
        lost++;
    host->version++;
    host->ends_ms = (uint32_t)uptime_ms + ttl_s * 1000;
    struct dns_answer answer = answer_of(number, host->version);
    CHECK(dns_cache_keep(name, &answer, ttl_s) == LARDER_OK);
}

static void forget(unsigned number)
{
    struct host *host = &hosts[number];
    larder_status status = dns_cache_forget(name_of(number));
    if (status == LARDER_OK)
        CHECK(is_alive(host));
    else if (CHECK(status == LARDER_NOT_FOUND) && is_alive(host))
        lost++;
    host->ends_ms = 0;
}

/* ---- the monitor ---- */

static larder_monitor monitor;
static uint32_t reports;

static void report_hook(void *ctx, const larder_monitor_report *report)
{
    (void)ctx;
    reports++;
    CHECK(report->now_ms == uptime_ms);
    CHECK(report->usage <= report->limit);
}

static void monitor_open(void)
{
    larder_monitor_config config = LARDER_MONITOR_CONFIG_INIT;
    config.interval_ms = MONITOR_INTERVAL_MS;
    config.step_max = 16; /* a tick must not take long */
    config.on_report = report_hook;
    CHECK(larder_monitor_init(&monitor, dns_cache_handle(), &config) == LARDER_OK);
}

/* The work of a timer's interrupt. */
static void tick(void)
{
    uptime_ms += TICK_MS;
    CHECK(larder_monitor_poll(&monitor, uptime_ms) == LARDER_OK);
}

static void monitor_counted(void)
{
    larder_monitor_stats_t stats;
    CHECK(larder_monitor_stats(&monitor, &stats) == LARDER_OK);
    CHECK(stats.checks_performed == reports);
    CHECK(reports == 1 + (uptime_ms - TICK_MS) / MONITOR_INTERVAL_MS); /* at the first tick, then at the interval */
    CHECK(stats.peak_pressure > 0 && stats.peak_pressure <= 100);
}

/* ---- the parts ---- */

/* With few answers none is evicted, so each is found until its last millisecond. */
static void few_answers(void)
{
    for (unsigned host = 0; host < 6; host++)
        keep(host, 10 + host);
    uptime_ms += 9999;
    for (unsigned host = 0; host < 6; host++)
        CHECK(find(host));
    uptime_ms += 1;
    CHECK(!find(0) && find(1) && find(5));
    uptime_ms += 5000;
    for (unsigned host = 1; host < 6; host++)
        CHECK(!find(host));
    CHECK(lost == 0);
}

static void odd_answers(void)
{
    static char long_name[250];
    struct dns_answer answer = answer_of(1, 1), none = { .count = 0 };
    memset(long_name, 'x', sizeof long_name - 1);
    CHECK(dns_cache_keep(long_name, &answer, 60) == LARDER_TOO_LARGE);
    CHECK(dns_cache_find(long_name, &answer) == LARDER_NOT_FOUND);

    CHECK(dns_cache_keep("do-not-keep.example.com", &answer, 0) == LARDER_OK);
    CHECK(dns_cache_find("do-not-keep.example.com", &answer) == LARDER_NOT_FOUND);

    CHECK(dns_cache_keep("no-such-host.example.com", &none, 60) == LARDER_OK);
    CHECK(dns_cache_find("no-such-host.example.com", &answer) == LARDER_OK && answer.count == 0);
    CHECK(dns_cache_forget("no-such-host.example.com") == LARDER_OK);
    CHECK(dns_cache_forget("no-such-host.example.com") == LARDER_NOT_FOUND);
}

/* More answers than fit; some are requested much more often than others. */
static void many_lookups(uint32_t lookups)
{
    for (uint32_t i = 0; i < lookups; i++) {
        unsigned host = random_below(1 + random_below(HOSTS));
        if (random_below(50) == 0)
            forget(host);
        else if (!find(host))
            keep(host, 30 + random_below(90));
        else if (random_below(10) == 0)
            keep(host, 30 + random_below(90)); /* a server's new answer replaces one that is still good */
        tick();
        if (i % 64 == 0)
            CHECK(checked_stats(dns_cache_handle()).evictions == dns_cache_evictions());
    }
    CHECK(lost > 0 && lost <= dns_cache_evictions());
}

/* Another task needs memory for a while. */
static void lower_limit(void)
{
    larder_cache *cache = dns_cache_handle();
    const size_t limit = DNS_REGION_SIZE * 3 / 4;
    CHECK(larder_cache_set_memory_limit(cache, limit) == LARDER_OK);
    larder_status status;
    do
        status = larder_cache_optimize(cache, 8, NULL); /* a little in each turn of the main loop */
    while (status == LARDER_AGAIN);
    CHECK(status == LARDER_OK);
    CHECK(larder_cache_memory_usage(cache) <= limit);
    many_lookups(LOOKUPS / 4);
    CHECK(larder_cache_memory_usage(cache) <= limit);
    CHECK(larder_cache_set_memory_limit(cache, DNS_REGION_SIZE) == LARDER_OK);
}

static void forget_all(void)
{
    for (unsigned host = 0; host < HOSTS; host++)
        forget(host);
    CHECK(larder_cache_optimize(dns_cache_handle(), 0, NULL) == LARDER_OK); /* removes expired answers */
    CHECK(larder_cache_item_count(dns_cache_handle()) == 0);
}

void dns_check(void)
{
    CHECK(dns_cache_open(&uptime_ms) == LARDER_OK);
    few_answers();
    odd_answers();
    uptime_ms = 0; /* the host's clock steps back, which leaves the cache's time as it is */
    monitor_open();
    many_lookups(LOOKUPS);
    lower_limit();
    many_lookups(LOOKUPS / 4);
    monitor_counted();
    forget_all();

    larder_cache_stats_t stats = checked_stats(dns_cache_handle());
    CHECK(stats.hits > 0 && stats.evictions > 0 && stats.expirations > 0 && stats.deletes > 0);
    printf("dns: %u hits, %u misses, %u evicted, %u expired, %u checks of the monitor\n", (unsigned)stats.hits,
           (unsigned)stats.misses, (unsigned)stats.evictions, (unsigned)stats.expirations, (unsigned)reports);
}
