/* interrupts.c: makes an interrupt before every instruction of a call. Its handler calls larder_cache_try_get and
 * larder_cache_try_set on the same cache.
 *
 * Under `-icount shift=8` SysTick fires at an exact instruction. Its delay is swept over a whole call in steps shorter
 * than an instruction, each time from the same bytes of the region. The handler's calls must succeed or be
 * LARDER_BUSY. The interrupted call must have the result that it has without an interrupt. Afterwards every item and
 * every invariant is checked. The interrupt's time gives its place. Every instruction of the call must be hit, from the
 * first to the last, or the image fails.
 *
 * The lock is a flag. A handler ends before the interrupted code continues, so interrupts need not be turned off.
 * WITHOUT_HOOKS: the cache's own flag is the lock. */
#include "check.h"
#include "measure.h"

#include <stdlib.h>
#include <string.h>

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SYST_OFF 4u
#define SYST_ON_WITH_INTERRUPT 7u
#define SCB_ICSR (*(volatile uint32_t *)0xE000ED04u)
#define SCB_ICSR_PENDSTCLR (1u << 25)
#define TICKS_MAX 0xFFFFFFu

/* An instruction takes 6.4 ticks. */
#define DELAY_STEP 6
#define DELAY_FIRST 60 /* before the call, but after the timer's set-up */

#if defined(WITHOUT_HOOKS)
#define WITH_HOOKS false
#else
#define WITH_HOOKS true
#endif

#define INSTRUCTIONS_MAX 131072
#define CODE_SIZE_MAX (256 * 1024)
#define ITEMS_MAX 128
#define VALUE_LEN 24

unsigned checks, checks_failed;

/* ---- the cache and its lock ---- */

_Alignas(LARDER_ALIGN) static unsigned char region[4096], snapshot[sizeof region];
static larder_cache *cache;

static struct {
    volatile bool taken;
} lock;

static int32_t try_lock_hook(void *ctx)
{
    (void)ctx;
#if !defined(LOCK_NOBODY_OUT) /* shows that this image can fail */
    if (lock.taken)
        return 1;
#endif
    lock.taken = true;
    return 0;
}

/* A task finds the lock free: handlers release it before the task continues. */
static int32_t lock_hook(void *ctx)
{
    return try_lock_hook(ctx);
}

static void unlock_hook(void *ctx)
{
    (void)ctx;
    lock.taken = false;
}

static void cache_open(void)
{
    larder_cache_config config;
    CHECK(larder_cache_config_init(&config, sizeof config) == LARDER_OK);
    if (WITH_HOOKS) {
        config.lock = lock_hook;
        config.unlock = unlock_hook;
        config.try_lock = try_lock_hook;
    } else {
        config.flags = LARDER_SINGLE_THREAD;
    }
    /* With these maxima the index has room for all items, so the region is full first. */
    config.key_len_max = sizeof(uint32_t);
    config.value_len_max = VALUE_LEN;
    CHECK(larder_cache_init(region, sizeof region, &config, &cache) == LARDER_OK);
}

static larder_cache_stats_t stats_now(void)
{
    larder_cache_stats_t stats = LARDER_CACHE_STATS_INIT;
    CHECK(larder_cache_stats(cache, &stats) == LARDER_OK);
    return stats;
}

/* ---- items: keys of four bytes, and values computed from key and version ---- */

enum version { NONE, OLD, NEW, TORN };

static void value_of(uint32_t key, enum version version, unsigned char value[VALUE_LEN])
{
    for (unsigned i = 0; i < VALUE_LEN; i++)
        value[i] = (unsigned char)(key * 7 + (unsigned)version * 100 + i);
}

static enum version version_in(uint32_t key, const unsigned char *value, size_t len)
{
    unsigned char expected[VALUE_LEN];
    for (enum version version = OLD; version <= NEW; version++) {
        value_of(key, version, expected);
        if (len == VALUE_LEN && memcmp(value, expected, VALUE_LEN) == 0)
            return version;
    }
    return TORN;
}

static enum version stored(uint32_t key)
{
    unsigned char value[VALUE_LEN];
    size_t len;
    larder_status status = larder_cache_get(cache, &key, sizeof key, value, sizeof value, &len);
    CHECK(status == LARDER_OK || status == LARDER_NOT_FOUND);
    return status == LARDER_OK ? version_in(key, value, len) : NONE;
}

static void store_old(uint32_t key)
{
    unsigned char value[VALUE_LEN];
    value_of(key, OLD, value);
    CHECK(larder_cache_set(cache, &key, sizeof key, value, sizeof value, LARDER_TTL_NEVER) == LARDER_OK);
}

/* ---- the interrupt ---- */

static const uint32_t handler_key = 1000;
static uint32_t subject; /* the key of the call, which the handler gets */

static struct {
    unsigned fired;
    uint32_t address; /* address of the instruction after the interrupt */
    uint32_t count;   /* SysTick's count, shortly after */
    larder_status get, set;
    unsigned char value[VALUE_LEN];
    size_t len;
} handled;

void handle(const uint32_t *frame, uint32_t count);

void handle(const uint32_t *frame, uint32_t count)
{
    unsigned char value[VALUE_LEN];
    SYST_CSR = SYST_OFF;
    handled.fired++;
    handled.address = frame[6];
    handled.count = count;
    handled.get =
        larder_cache_try_get(cache, &subject, sizeof subject, handled.value, sizeof handled.value, &handled.len);
    value_of(handler_key, NEW, value);
    handled.set =
        larder_cache_try_set(cache, &handler_key, sizeof handler_key, value, sizeof value, LARDER_TTL_NEVER);
}

void SysTick_Handler(void);

__attribute__((naked)) void SysTick_Handler(void)
{
    __asm__ volatile("mov r0, sp\n"
                     "ldr r1, =0xE000E018\n"
                     "ldr r1, [r1]\n"
                     "b handle\n"
                     ".ltorg\n");
}

/* Makes one interrupt after `ticks` ticks. Then SysTick counts down from its maximum. */
static void interrupt_after(uint32_t ticks)
{
    memset(&handled, 0, sizeof handled);
    SYST_RVR = ticks;
    SYST_CVR = 0;
    SYST_CSR = SYST_ON_WITH_INTERRUPT;
    SYST_RVR = TICKS_MAX;
}

static void interrupt_off(void)
{
    SYST_CSR = SYST_OFF;
    SCB_ICSR = SCB_ICSR_PENDSTCLR;
}

/* ---- the calls ---- */

struct scenario {
    const char *name;
    struct call (*call)(void);
    unsigned free_items; /* room for this number of items; 0: a set must evict */
    bool subject_before; /* whether the key exists before */
    enum version after;  /* the key's version afterwards */
};

static unsigned char result[VALUE_LEN];
static size_t result_len;

static struct call get_it(void)
{
    return call_get(cache, &subject, sizeof subject, result, sizeof result, &result_len);
}

static struct call set_it(void)
{
    static unsigned char value[VALUE_LEN];
    value_of(subject, NEW, value);
    return call_set(cache, &subject, sizeof subject, value, sizeof value, LARDER_TTL_NEVER);
}

static struct call delete_it(void)
{
    return call_delete(cache, &subject, sizeof subject);
}

static struct call optimize_it(void)
{
    return call_optimize(cache, 8);
}

static const struct scenario scenarios[] = {
    { "get", get_it, 4, true, OLD },
    { "set", set_it, 4, false, NEW },
    { "set-replacing", set_it, 4, true, NEW },
    { "set-evicting", set_it, 0, false, NEW },
    { "delete", delete_it, 4, true, NONE },
    { "optimize", optimize_it, 12, true, OLD },
};

/* ---- before a call ---- */

static uint32_t items[ITEMS_MAX]; /* the keys in the cache, without the subject */
static unsigned item_count;

/* Fills the cache, then makes the scenario's room. */
static void prepare(const struct scenario *scenario)
{
    cache_open();
    uint32_t keys = 0;
    do
        store_old(keys++);
    while (stats_now().evictions < 40);
    /* Spread over all pages, so that pages become sparse. */
    for (uint32_t i = 0, victim = 0; i < scenario->free_items; victim = (victim + 7) % keys)
        i += larder_cache_delete(cache, &victim, sizeof victim) == LARDER_OK;
    item_count = 0;
    for (uint32_t key = 0; key < keys; key++)
        if (stored(key) == OLD)
            items[item_count++] = key;
    subject = scenario->subject_before ? items[--item_count] : 2000;
    memcpy(snapshot, region, sizeof region);
}

static void restore(void)
{
    memcpy(region, snapshot, sizeof region);
    CHECK(!lock.taken);
}

/* ---- after a call ---- */

static void check_handled(const struct scenario *scenario)
{
    CHECK(handled.fired == 1);
    CHECK(handled.set == LARDER_OK || handled.set == LARDER_BUSY);
    CHECK((handled.get == LARDER_BUSY) == (handled.set == LARDER_BUSY));
    if (handled.get == LARDER_NOT_FOUND) {
        CHECK(!scenario->subject_before || scenario->after == NONE);
    } else if (handled.get != LARDER_BUSY && CHECK(handled.get == LARDER_OK)) {
        enum version version = version_in(subject, handled.value, handled.len);
        CHECK((version == OLD && scenario->subject_before) || (version == NEW && scenario->after == NEW));
    }
}

static void check_items(const struct scenario *scenario, const larder_cache_stats_t *before)
{
    larder_cache_stats_t stats = checked_stats(cache);
    uint64_t evictions = stats.evictions - before->evictions;
    bool handler_stored = handled.fired && handled.set == LARDER_OK;
    CHECK(stats.failed_busy - before->failed_busy == (handled.fired && handled.set == LARDER_BUSY ? 2 : 0));
    /* Deleted bytes become free only when their page is cleaned, so a set with room may evict, too. */
    CHECK(evictions > 0 || scenario->free_items > 0);
    /* Making room for a set may move items, too. */
    CHECK(stats.items_moved > before->items_moved || scenario->call != optimize_it);

    unsigned gone = 0;
    for (unsigned i = 0; i < item_count; i++) {
        enum version version = stored(items[i]);
        gone += version == NONE;
        CHECK(version == OLD || version == NONE);
    }
    enum version handlers = stored(handler_key);
    CHECK(handlers == NEW || handlers == NONE);
    CHECK(handler_stored || handlers == NONE);
    CHECK(stored(subject) == scenario->after);
    CHECK(gone + (handler_stored && handlers == NONE) == evictions);
}

static void check_answer(const struct scenario *scenario, const struct call *call)
{
    CHECK(call->status == LARDER_OK || (scenario->call == optimize_it && call->status == LARDER_AGAIN));
    if (scenario->call == get_it)
        CHECK(version_in(subject, result, result_len) == OLD);
}

/* ---- the sweep ---- */

static unsigned char hit[INSTRUCTIONS_MAX];      /* instructions of the call that were hit, by time */
static unsigned char address_hit[CODE_SIZE_MAX]; /* instructions that were hit, by address */

struct coverage {
    bool at_call; /* an interrupt was right before the call; the next ones are inside */
    bool behind;  /* an interrupt was after the call */
    unsigned first, last, instructions, addresses, busy;
};

/* Records the place of the interrupt, if it was inside the call. */
static void note_hit(struct coverage *coverage, const struct call *call)
{
    if (call_run_has(handled.address)) {
        coverage->at_call = true;
        coverage->behind = coverage->instructions > 0;
    }
    if (!coverage->at_call || coverage->behind || call_run_has(handled.address))
        return;
    unsigned number = instructions_in(call->start + 1 + (TICKS_MAX - handled.count));
    if (!CHECK(number < INSTRUCTIONS_MAX && handled.address < CODE_SIZE_MAX))
        return;
    coverage->addresses += !address_hit[handled.address];
    address_hit[handled.address] = 1;
    if (hit[number])
        return;
    hit[number] = 1;
    coverage->instructions++;
    coverage->busy += handled.get == LARDER_BUSY;
    if (coverage->instructions == 1 || number < coverage->first)
        coverage->first = number;
    if (number > coverage->last)
        coverage->last = number;
}

static unsigned undisturbed(const struct scenario *scenario)
{
    memset(&handled, 0, sizeof handled);
    restore();
    larder_cache_stats_t before = stats_now();
    struct call call = scenario->call();
    ticks_start();
    call_run(&call);
    unsigned instructions = call_instructions(&call);
    check_answer(scenario, &call);
    check_items(scenario, &before);
    return instructions;
}

/* Returns false if the interrupt was after the call. */
static bool disturbed(const struct scenario *scenario, uint32_t delay, struct coverage *coverage)
{
    restore();
    larder_cache_stats_t before = stats_now();
    struct call call = scenario->call();
    interrupt_after(delay);
    call_run(&call);
    interrupt_off();
    if (!handled.fired)
        return false;
    note_hit(coverage, &call);
    check_answer(scenario, &call);
    check_handled(scenario);
    check_items(scenario, &before);
    return true;
}

static void sweep(const struct scenario *scenario)
{
    struct coverage coverage = { 0 };
    memset(hit, 0, sizeof hit);
    memset(address_hit, 0, sizeof address_hit);
    prepare(scenario);
    unsigned instructions = undisturbed(scenario);
    uint32_t delay = DELAY_FIRST;
    while (disturbed(scenario, delay, &coverage))
        delay += DELAY_STEP;
    printf("interrupts in %s: before %u of %u instructions, at %u addresses; busy %u times\n", scenario->name,
           coverage.instructions, instructions, coverage.addresses, coverage.busy);
    CHECK(coverage.instructions == instructions);
    CHECK(coverage.last - coverage.first + 1 == instructions);
    CHECK(coverage.busy > 0 && coverage.busy < instructions);
}

int main(void)
{
    for (unsigned i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        sweep(&scenarios[i]);
    printf("interrupts%s: %u passed, %u failed\n", WITH_HOOKS ? "" : "_without_hooks", checks - checks_failed,
           checks_failed);
    return checks_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
