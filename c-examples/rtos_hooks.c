/* rtos_hooks.c: a cache in static memory that a task and an interrupt handler share, with the host's lock and clock.
 * The host is a simulated kernel: a flag for the lock, and a nesting depth of disabled interrupts.
 *
 * Build:  cc -std=c11 c-examples/rtos_hooks.c -Iinclude target/lib/liblarder.a -lpthread -lm
 *
 * The handler reads, stores and deletes by larder_cache_try_get, try_set and try_delete, which never wait. Between
 * two calls of the task the lock is free. Inside a call the handler gets LARDER_BUSY and nothing changes; the task
 * makes the handler's changes later. Without a try_lock hook the handler gets LARDER_INVALID. Exit code 1 and a message
 * if a promise does not hold.
 *
 * Prints:
 *    == between two calls
 *       get: ok, set: ok, delete: ok
 *    == in the middle of a call
 *       lock taken    get: busy, set: busy, delete: busy
 *       clock read    get: busy, set: busy, delete: busy
 *       before unlock get: busy, set: busy, delete: busy
 *       refused by try_lock 9 times, failed_busy is 9
 *    == without try_lock
 *       get: invalid, set: invalid, delete: invalid
 *    == N locks, N unlocks, all checks passed               (N depends on the version)
 */
#define _POSIX_C_SOURCE 200809L

#include "example.h"

#include <inttypes.h>

#define TTL_MS 1000

_Alignas(LARDER_ALIGN) static unsigned char region[16 * 1024];

/* ---- the kernel: the part of an RTOS and its hardware ---- */

enum moment { BETWEEN_CALLS, LOCK_TAKEN, CLOCK_READ, BEFORE_UNLOCK };

static struct {
    uint64_t tick_ms;
    unsigned off_depth; /* interrupts are off if not 0 */
    bool pending;       /* an interrupt is pending until its moment */
    enum moment moment;
    void (*handler)(void);
} kernel;

static void interrupts_off(void)
{
    kernel.off_depth++;
}

static void interrupts_on(void)
{
    require(kernel.off_depth > 0, "interrupts are turned on as often as off");
    kernel.off_depth--;
}

static void raise_interrupt_at(enum moment moment)
{
    kernel.pending = true;
    kernel.moment = moment;
}

/* A point at which an interrupt may happen. A handler runs with interrupts off, so handlers do not nest. */
static void interrupt_point(enum moment moment)
{
    if (!kernel.pending || kernel.moment != moment || kernel.off_depth > 0)
        return;
    kernel.pending = false;
    interrupts_off();
    kernel.handler();
    interrupts_on();
}

/* ---- the hooks ----
 *
 * Interrupts are off only while the flag changes, not while the cache works. */

static struct lock {
    bool taken;
    uint64_t locks, unlocks, refused;
} cache_lock;

static bool take_if_free(struct lock *lock)
{
    interrupts_off();
    bool is_free = !lock->taken;
    lock->taken = true;
    lock->locks += is_free;
    interrupts_on();
    return is_free;
}

/* A kernel would let the task sleep here until the lock is free. A single task always finds it free. */
static int32_t lock_hook(void *ctx)
{
    require(take_if_free(ctx), "a lone task never waits for its lock");
    interrupt_point(LOCK_TAKEN);
    return 0;
}

static int32_t try_lock_hook(void *ctx)
{
    struct lock *lock = ctx;
    if (take_if_free(lock))
        return 0;
    lock->refused++;
    return 1;
}

static void unlock_hook(void *ctx)
{
    struct lock *lock = ctx;
    interrupt_point(BEFORE_UNLOCK);
    interrupts_off();
    require(lock->taken, "only a taken lock is released");
    lock->taken = false;
    lock->unlocks++;
    interrupts_on();
}

/* The cache reads the clock while it holds its lock. The hook does not call the cache, but an interrupt may. */
static uint64_t clock_hook(void *ctx)
{
    (void)ctx;
    interrupt_point(CLOCK_READ);
    return kernel.tick_ms;
}

/* ---- the interrupt handler ----
 *
 * It reads the settings that the task stores, stores a sample, and deletes an alarm. */

static larder_cache *cache;

static struct {
    uint32_t sample; /* the number to store */
    uint32_t settings;
    larder_status get, set, delete;
} handled;

static void handle_interrupt(void)
{
    size_t len;
    handled.settings = 0;
    handled.get = larder_cache_try_get(cache, "settings", 8, &handled.settings, sizeof handled.settings, &len);
    handled.set = larder_cache_try_set(cache, "sample", 6, &handled.sample, sizeof handled.sample, TTL_MS);
    handled.delete = larder_cache_try_delete(cache, "alarm", 5);
}

static const char *name_of(larder_status status)
{
    switch (status) {
    case LARDER_OK: return "ok";
    case LARDER_BUSY: return "busy";
    case LARDER_INVALID: return "invalid";
    default: return larder_strerror(status);
    }
}

static void print_handled(const char *title)
{
    printf("   %sget: %s, set: %s, delete: %s\n", title, name_of(handled.get), name_of(handled.set),
           name_of(handled.delete));
}

static bool handled_all_with(larder_status status)
{
    return !kernel.pending && handled.get == status && handled.set == status && handled.delete == status;
}

/* ---- the task ---- */

static void cache_new(bool with_try_lock)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.now_ms = clock_hook;
    config.lock = lock_hook;
    config.unlock = unlock_hook;
    config.try_lock = with_try_lock ? try_lock_hook : NULL;
    config.lock_ctx = &cache_lock;
    must(larder_cache_init(region, sizeof region, &config, &cache), "larder_cache_init");
}

static void set_number(const char *key, size_t key_len, uint32_t number)
{
    must(larder_cache_set(cache, key, key_len, &number, sizeof number, TTL_MS), "larder_cache_set");
}

static uint32_t get_number(const char *key, size_t key_len)
{
    uint32_t number = 0;
    size_t len;
    must(larder_cache_get(cache, key, key_len, &number, sizeof number, &len), "larder_cache_get");
    require(len == sizeof number, "a number is as long as it was");
    return number;
}

/* Sets the state at the start of each part. */
static void set_all(uint32_t number)
{
    set_number("settings", 8, number);
    set_number("sample", 6, number);
    set_number("alarm", 5, number);
    handled.sample = number + 1;
}

/* Makes a call of the task that is interrupted. */
static void set_settings_with_interrupt(enum moment moment, uint32_t number)
{
    raise_interrupt_at(moment);
    set_number("settings", 8, number);
    interrupt_point(BETWEEN_CALLS);
}

static void interrupt_between_calls(void)
{
    puts("== between two calls");
    set_all(10);
    set_settings_with_interrupt(BETWEEN_CALLS, 11);
    print_handled("");
    require(handled_all_with(LARDER_OK), "between two calls the handler's calls succeed");
    require(handled.settings == 11, "the handler reads what the task stored");
    require(get_number("sample", 6) == handled.sample, "the task reads what the handler stored");
    require(larder_cache_contains(cache, "alarm", 5) == LARDER_NOT_FOUND, "what the handler deleted is gone");
    require(cache_lock.refused == 0 && stats_of(cache).failed_busy == 0, "no call was refused");
}

/* Checks that every counter and value is as without the handler, except the count of LARDER_BUSY calls. */
static void require_unchanged(const larder_cache_stats_t *before, uint32_t number)
{
    larder_cache_stats_t after = stats_of(cache);
    require(after.hits == before->hits && after.misses == before->misses && after.deletes == before->deletes,
            "a refused call neither reads nor deletes");
    require(after.sets == before->sets + 1 && after.updates == before->updates + 1, "only the task's set is counted");
    require(after.item_count == before->item_count && after.total_used == before->total_used, "the items are the same");
    require(after.failed_busy == before->failed_busy + 3, "each refused call is counted");
    require(get_number("sample", 6) == number, "the sample is the old one");
    require(get_number("alarm", 5) == number, "the alarm still exists");
    require(get_number("settings", 8) == number + 1, "the task's own call did its work");
}

static void interrupt_inside(enum moment moment, const char *title)
{
    set_all(20);
    larder_cache_stats_t before = stats_of(cache);
    set_settings_with_interrupt(moment, 21);
    print_handled(title);
    require(handled_all_with(LARDER_BUSY), "inside a call the handler's calls are LARDER_BUSY");
    require_unchanged(&before, 20);

    /* The task makes the changes that the handler could not. */
    set_number("sample", 6, handled.sample);
    must(larder_cache_delete(cache, "alarm", 5), "larder_cache_delete");
    require(get_number("sample", 6) == 21, "the task stores the sample later");
}

static void interrupt_in_the_middle(void)
{
    puts("== in the middle of a call");
    interrupt_inside(LOCK_TAKEN, "lock taken    ");
    interrupt_inside(CLOCK_READ, "clock read    ");
    interrupt_inside(BEFORE_UNLOCK, "before unlock ");
    larder_cache_stats_t stats = stats_of(cache);
    printf("   refused by try_lock %" PRIu64 " times, failed_busy is %" PRIu64 "\n", cache_lock.refused,
           stats.failed_busy);
    require(cache_lock.refused == 9, "the try_lock hook refuses each call of the handler");
}

/* With a lock that cannot be tried, interrupt handlers cannot call the cache. */
static void interrupt_without_try_lock(void)
{
    puts("== without try_lock");
    cache_new(false);
    set_all(30);
    set_settings_with_interrupt(BETWEEN_CALLS, 31);
    print_handled("");
    require(handled_all_with(LARDER_INVALID), "without try_lock the try_ calls are invalid");
    require(get_number("sample", 6) == 30 && get_number("alarm", 5) == 30, "an invalid call changes nothing");
}

int main(int argc, char **argv)
{
    read_arguments(argc, argv,
                   "usage: rtos_hooks\n"
                   "\n"
                   "A task and an interrupt handler of a simulated kernel share a cache through lock hooks.\n",
                   NULL, 0, NULL);
    kernel.tick_ms = 1000;
    kernel.handler = handle_interrupt;
    cache_new(true);
    interrupt_between_calls();
    interrupt_in_the_middle();
    must(larder_cache_check(cache), "larder_cache_check");
    interrupt_without_try_lock();
    must(larder_cache_check(cache), "larder_cache_check");
    require(!cache_lock.taken && cache_lock.locks == cache_lock.unlocks, "each lock is released");
    printf("== %" PRIu64 " locks, %" PRIu64 " unlocks, all checks passed\n", cache_lock.locks, cache_lock.unlocks);
    return EXIT_SUCCESS;
}
