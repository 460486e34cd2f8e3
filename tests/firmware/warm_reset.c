/* warm_reset.c: a cache in memory that survives a reset. A timer's interrupt resets the core during work, at another
 * time after each boot, sometimes during the attach. The next boot attaches to the region and checks every key.
 *
 * A log in the same kind of memory stores for each key the version begun and the version acknowledged. Every value
 * found must be whole, and one of the two versions. An acknowledged value must exist unless it has expired. Only the
 * key whose value was being replaced may have neither, since a new value may overwrite the old one in place. In the
 * first half of the boots all items fit, and no other item may be missing. In the second half not all fit and
 * checksums are on; no more items may be missing than were evicted.
 *
 * The part for firmware: cache_open below. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define BOOTS 600
#define MAGIC 0x1A4DE45Eu
#define KEYS_MAX 80
#define KEYS_THAT_FIT 16
#define VALUE_LEN_MAX 160
#define EVICTED_BY_ONE_CALL_MAX 8

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SYST_ON_WITH_INTERRUPT 7u
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0Cu)
#define AIRCR_RESET 0x05FA0004u
#define RESET_TICKS_MIN 2000u
#define RESET_TICKS_MAX 400000u
#define EARLY_RESET_TICKS_MAX 250000u /* about as long as larder_cache_attach takes */

#define RETAINED __attribute__((section(".noinit")))

unsigned checks, checks_failed;

/* ---- what survives ---- */

_Alignas(LARDER_ALIGN) RETAINED static unsigned char region[8 * 1024];

/* A version of a key's value, which is in the cache until ends_ms; version 0 is no value. */
struct record {
    uint32_t version, ends_ms;
};

RETAINED static volatile struct {
    uint32_t magic;
    uint32_t boots;
    uint32_t uptime_ms;
    uint32_t random;
    uint32_t in_call;
    uint32_t in_attach;
    uint32_t evicted; /* since the boot */
    struct {
        struct record begun, acknowledged;
    } log[KEYS_MAX];
    struct {
        uint32_t in_call, in_attach, recovered, dropped, torn, duplicate, begun, halfway, missing, evicted_max, checks;
    } sums;
} retained;

static bool room_for_all(void)
{
    return retained.boots <= BOOTS / 2;
}

static uint32_t keys(void)
{
    return room_for_all() ? KEYS_THAT_FIT : KEYS_MAX;
}

/* The random state continues from boot to boot, so that no two boots are equal. */
static uint32_t draw(uint32_t bound)
{
    uint32_t state = retained.random;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    retained.random = state;
    return state % bound;
}

/* ---- the cache ---- */

static larder_cache *cache;

static uint64_t clock_hook(void *ctx)
{
    (void)ctx;
    return retained.uptime_ms;
}

static void event_hook(void *ctx, const larder_event *event)
{
    (void)ctx;
    if (event->kind != LARDER_EVENT_EVICTED)
        return;
    retained.evicted += (uint32_t)event->items;
    if (retained.sums.evicted_max < event->items)
        retained.sums.evicted_max = (uint32_t)event->items;
}

static larder_cache_config config_of(bool checksum)
{
    larder_cache_config config;
    CHECK(larder_cache_config_init(&config, sizeof config) == LARDER_OK);
    config.flags = LARDER_SINGLE_THREAD | (checksum ? LARDER_CHECKSUM : 0);
    config.hash_seed = 12345;
    config.now_ms = clock_hook;
    config.on_event = event_hook;
    return config;
}

/* Attaches to the cache in the region, or makes a new one. Returns whether there was one. */
static bool cache_open(larder_attach_report *report)
{
    larder_cache_config config = config_of(!room_for_all());
    retained.in_attach = 1;
    larder_status status = larder_cache_attach(region, sizeof region, &config, &cache, report);
    retained.in_attach = 0;
    if (status == LARDER_OK)
        return true;
    CHECK(status == LARDER_NOT_FOUND || status == LARDER_VERSION_MISMATCH);
    CHECK(larder_cache_init(region, sizeof region, &config, &cache) == LARDER_OK);
    return false;
}

/* ---- values ---- */

/* Most values are short, some are in several pieces. */
static size_t len_of(uint32_t key, uint32_t version)
{
    uint32_t mixed = (key * 31 + version) * 2654435761u >> 16;
    return mixed % 8 == 0 ? 8 + mixed % (VALUE_LEN_MAX - 8) : 8 + mixed % 32;
}

/* The first bytes of a value are key and version; all other bytes are computed from both. */
static size_t value_of(uint32_t key, uint32_t version, unsigned char value[VALUE_LEN_MAX])
{
    size_t len = len_of(key, version);
    memcpy(value, &key, sizeof key);
    memcpy(value + sizeof key, &version, sizeof version);
    for (size_t i = 8; i < len; i++)
        value[i] = (unsigned char)(key * 7 + version * 13 + i * 3);
    return len;
}

/* The version of a key's value, or 0 if there is none. A value that is not whole is a failure. */
static uint32_t version_found(uint32_t key)
{
    unsigned char value[VALUE_LEN_MAX], expected[VALUE_LEN_MAX];
    uint32_t version = 0;
    size_t len;
    larder_status status = larder_cache_get(cache, &key, sizeof key, value, sizeof value, &len);
    if (status == LARDER_NOT_FOUND)
        return 0;
    if (CHECK(status == LARDER_OK && len >= 8))
        memcpy(&version, value + sizeof key, sizeof version);
    CHECK(len == value_of(key, version, expected) && memcmp(value, expected, len) == 0);
    return version;
}

/* ---- work: each step is logged as begun, done, and logged as acknowledged ---- */

static void begin(uint32_t key, uint32_t ends_ms)
{
    retained.log[key].begun.ends_ms = ends_ms;
    retained.log[key].begun.version++;
    retained.in_call = 1;
}

static void acknowledge(uint32_t key)
{
    retained.in_call = 0;
    retained.log[key].acknowledged.ends_ms = retained.log[key].begun.ends_ms;
    retained.log[key].acknowledged.version = retained.log[key].begun.version;
}

static uint32_t random_ttl_ms(void)
{
    return draw(3) == 0 ? 50 + draw(2000) : 1000000;
}

static void set(uint32_t key)
{
    unsigned char value[VALUE_LEN_MAX];
    uint32_t ttl_ms = random_ttl_ms();
    begin(key, retained.uptime_ms + ttl_ms);
    size_t len = value_of(key, retained.log[key].begun.version, value);
    CHECK(larder_cache_set(cache, &key, sizeof key, value, len, ttl_ms) == LARDER_OK);
    acknowledge(key);
}

/* A set without a copy: the value is written in place. */
static void reserve_and_commit(uint32_t key)
{
    unsigned char value[VALUE_LEN_MAX];
    larder_reservation reservation;
    uint32_t ttl_ms = random_ttl_ms();
    begin(key, retained.uptime_ms + ttl_ms);
    size_t len = value_of(key, retained.log[key].begun.version, value), done = 0, span_len;
    CHECK(larder_cache_reserve(cache, &key, sizeof key, len, ttl_ms, &reservation) == LARDER_OK);
    for (uint32_t i = 0; i < reservation.spans; i++, done += span_len) {
        void *span;
        CHECK(larder_cache_reservation_span(cache, &reservation, i, &span, &span_len) == LARDER_OK);
        memcpy(span, value + done, span_len);
    }
    CHECK(larder_cache_commit(cache, &reservation) == LARDER_OK);
    acknowledge(key);
}

static void delete(uint32_t key)
{
    begin(key, 0);
    larder_status status = larder_cache_delete(cache, &key, sizeof key);
    CHECK(status == LARDER_OK || status == LARDER_NOT_FOUND);
    acknowledge(key);
}

static void optimize(void)
{
    retained.in_call = 1;
    larder_status status = larder_cache_optimize(cache, 8, NULL);
    retained.in_call = 0;
    CHECK(status == LARDER_OK || status == LARDER_AGAIN);
}

static void work(void)
{
    uint32_t key = draw(keys());
    switch (draw(8)) {
    case 0: delete(key); break;
    case 1: optimize(); break;
    case 2: case 3: reserve_and_commit(key); break;
    default: set(key); break;
    }
    retained.uptime_ms += 10;
}

/* ---- the reset ---- */

void SysTick_Handler(void);

void SysTick_Handler(void)
{
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
    }
}

static void reset_after(uint32_t ticks)
{
    SYST_RVR = ticks;
    SYST_CVR = 0;
    SYST_CSR = SYST_ON_WITH_INTERRUPT;
}

/* ---- after a boot ---- */

static bool is_alive(struct record record)
{
    return record.version != 0 && record.ends_ms > retained.uptime_ms;
}

/* Compares the log of one key with the cache, then logs the cache's value as acknowledged. Returns whether the key
 * exists. */
static bool verify(uint32_t key)
{
    struct record begun = retained.log[key].begun, acknowledged = retained.log[key].acknowledged, is = { 0, 0 };
    uint32_t version = version_found(key);
    if (version == 0) {
        bool was_there = is_alive(begun) && is_alive(acknowledged), halfway = begun.version != acknowledged.version;
        retained.sums.halfway += was_there && halfway;
        retained.sums.missing += was_there && !halfway;
    } else if (version == acknowledged.version) {
        /* A reset between the two stores of `begin` leaves another time with this version. */
        is = acknowledged;
        CHECK(is_alive(acknowledged));
    } else {
        is = begun;
        retained.sums.begun++;
        CHECK(version == begun.version && is_alive(begun));
    }
    if (is.version == 0)
        is.version = begun.version; /* the key does not exist, as if deleted */
    retained.log[key].begun = is;
    retained.log[key].acknowledged = is;
    return version != 0;
}

static void verify_all(const larder_attach_report *report)
{
    uint32_t there = 0, missing = retained.sums.missing;
    CHECK(larder_cache_check(cache) == LARDER_OK);
    CHECK(report->found == LARDER_FOUND_CACHE);
    CHECK(report->items_dropped == report->items_expired + report->items_torn + report->items_corrupt +
                                       report->items_duplicate + report->items_homeless);
    CHECK(report->items_corrupt == 0 && report->items_homeless == 0);
    CHECK(report->items_recovered == larder_cache_item_count(cache));
    for (uint32_t key = 0; key < KEYS_MAX; key++)
        there += verify(key);
    /* An item that expired after the last clock reading was recovered, and is removed by its get. */
    CHECK(there == larder_cache_item_count(cache) && there <= report->items_recovered);
    missing = retained.sums.missing - missing;
    if (room_for_all())
        CHECK(missing == 0 && retained.evicted == 0);
    CHECK(missing == 0 || missing <= retained.evicted + EVICTED_BY_ONE_CALL_MAX);

    retained.sums.recovered += (uint32_t)report->items_recovered;
    retained.sums.dropped += (uint32_t)report->items_dropped;
    retained.sums.torn += (uint32_t)report->items_torn;
    retained.sums.duplicate += (uint32_t)report->items_duplicate;
}

/* Checks attach's answers for regions without a fitting cache. Attach must not change these regions. */
static void other_regions(void)
{
    static unsigned char copy[sizeof region];
    larder_attach_report report;
    larder_cache_config config = config_of(true);
    memcpy(copy, region, sizeof region);
    config.hash_seed++;
    CHECK(larder_cache_attach(region, sizeof region, &config, &cache, &report) == LARDER_VERSION_MISMATCH);
    CHECK(report.found == LARDER_FOUND_OTHER_SEED);
    config = config_of(false);
    CHECK(larder_cache_attach(region, sizeof region, &config, &cache, &report) == LARDER_VERSION_MISMATCH);
    CHECK(report.found == LARDER_FOUND_OTHER_LAYOUT);
    CHECK(memcmp(copy, region, sizeof region) == 0);

    memset(region, 0xA5, sizeof region); /* after a power failure RAM has arbitrary contents */
    config = config_of(true);
    CHECK(larder_cache_attach(region, sizeof region, &config, &cache, &report) == LARDER_NOT_FOUND);
    CHECK(report.found == LARDER_FOUND_NOTHING);
}

static void cold_boot(void)
{
    memset((void *)(uintptr_t)&retained, 0, sizeof retained);
    retained.random = 2463534242u;
    retained.magic = MAGIC;
}

/* The second half starts with an empty cache. */
static void start_over(void)
{
    memset((void *)(uintptr_t)retained.log, 0, sizeof retained.log);
    memset(region, 0, sizeof region);
}

static void count_boot(void)
{
    retained.boots++;
    retained.sums.in_call += retained.in_call;
    retained.sums.in_attach += retained.in_attach;
    retained.in_call = 0;
    retained.in_attach = 0;
    if (retained.boots == BOOTS / 2 + 1)
        start_over();
}

static int summary(void)
{
    other_regions();
    CHECK(retained.sums.in_call > BOOTS / 4 && retained.sums.in_attach > BOOTS / 50 && retained.sums.begun > 0);
    printf("warm resets: %u, %u of them inside of a call, %u while the region was taken over\n",
           (unsigned)retained.boots - 1, (unsigned)retained.sums.in_call, (unsigned)retained.sums.in_attach);
    printf("warm resets: %u items back, %u dropped, of which %u torn and %u duplicate\n",
           (unsigned)retained.sums.recovered, (unsigned)retained.sums.dropped, (unsigned)retained.sums.torn,
           (unsigned)retained.sums.duplicate);
    printf("warm resets: of the values being replaced %u were new and %u gone; %u evicted, at most %u by one call\n",
           (unsigned)retained.sums.begun, (unsigned)retained.sums.halfway, (unsigned)retained.sums.missing,
           (unsigned)retained.sums.evicted_max);
    printf("warm_reset: %u passed, %u failed\n", (unsigned)retained.sums.checks + checks - checks_failed,
           checks_failed);
    return checks_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(void)
{
    larder_attach_report report;
    if (retained.magic != MAGIC)
        cold_boot();
    count_boot();
    bool first = retained.boots == 1 || retained.boots == BOOTS / 2 + 1;
    if (!first && retained.boots < BOOTS && draw(4) == 0)
        reset_after(RESET_TICKS_MIN + draw(EARLY_RESET_TICKS_MAX));
    if (CHECK(cache_open(&report) == !first) && !first)
        verify_all(&report);
    if (retained.boots == BOOTS)
        return summary();

    retained.evicted = 0;
    retained.sums.checks += checks;
    reset_after(RESET_TICKS_MIN + draw(RESET_TICKS_MAX - RESET_TICKS_MIN));
    while (checks_failed == 0)
        work();
    return EXIT_FAILURE;
}
