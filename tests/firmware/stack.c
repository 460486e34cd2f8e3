/* stack.c: the deepest stack of each function over many calls, on a cache that stays full. Before a call the stack
 * below is painted; afterwards the lowest changed word gives the depth. No hooks are set: their stack is additional.
 *
 * Prints a line for each function, `stack FUNCTION BYTES`: from the stack pointer at its first instruction down. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 20000
#define KEYS 64
#define KEY_LEN_MAX 20
#define VALUE_LEN_MAX 348 /* of the longest value under three quarters of the region: larder_cache_limits */
#define FUNCTIONS_MAX 40

#define CHECK_EITHER(status, a, b) check_either((status), (a), (b), #status, __LINE__)

unsigned checks, checks_failed;

/* ---- one call ---- */

/* The compiler reserves room for arguments on the stack at a function's start. So the stack pointer here equals that at
 * the call's first instruction. */
#define STACK_OF(call) \
    (stack_top = stack_paint(), stack_status = (call), stack_low = stack_lowest(), stack_note(#call), stack_status)

#define WINDOW_BYTES "4608"
#define PAINT "0xC0DEC0DE"

static uintptr_t stack_top, stack_low;
static larder_status stack_status;

uintptr_t stack_paint(void);
uintptr_t stack_lowest(void);

/* In assembler, since these functions must not use the stack. stack_paint returns the stack pointer. stack_lowest
 * returns the address of the lowest word that is no longer painted. */
__asm__(".syntax unified\n"
        ".text\n"
        ".balign 4\n"
        ".thumb_func\n"
        ".global stack_paint\n"
        ".type stack_paint, %function\n"
        "stack_paint:\n"
        "    ldr  r1, 3f\n"
        "    ldr  r2, 4f\n"
        "    mov  r0, sp\n"
        "    subs r2, r0, r2\n"
        "1:  str  r1, [r2]\n"
        "    adds r2, #4\n"
        "    cmp  r2, r0\n"
        "    blo  1b\n"
        "    bx   lr\n"
        ".thumb_func\n"
        ".global stack_lowest\n"
        ".type stack_lowest, %function\n"
        "stack_lowest:\n"
        "    ldr  r1, 3f\n"
        "    ldr  r2, 4f\n"
        "    mov  r3, sp\n"
        "    subs r0, r3, r2\n"
        "2:  ldr  r2, [r0]\n"
        "    cmp  r2, r1\n"
        "    bne  5f\n"
        "    adds r0, #4\n"
        "    cmp  r0, r3\n"
        "    blo  2b\n"
        "5:  bx   lr\n"
        ".balign 4\n"
        "3:  .word " PAINT "\n"
        "4:  .word " WINDOW_BYTES "\n");

static struct {
    char name[40];
    uint32_t bytes;
} deepest[FUNCTIONS_MAX];

/* `call` begins with the function's name. */
static void stack_note(const char *call)
{
    size_t len = strcspn(call, "(");
    unsigned i = 0;
    while (deepest[i].name[0] != '\0' && (strncmp(deepest[i].name, call, len) != 0 || deepest[i].name[len] != '\0'))
        i++;
    memcpy(deepest[i].name, call, len);
    uint32_t bytes = (uint32_t)(stack_top - stack_low);
    if (deepest[i].bytes < bytes)
        deepest[i].bytes = bytes;
    CHECK(bytes < (uint32_t)atoi(WINDOW_BYTES));
}

static void check_either(larder_status status, larder_status a, larder_status b, const char *call, int line)
{
    check_claim(status == a || status == b, call, __FILE__, line);
}

/* ---- the cache ---- */

_Alignas(LARDER_ALIGN) static unsigned char region[4096];
static unsigned char key[KEY_LEN_MAX], value[VALUE_LEN_MAX];
static larder_cache *cache;

static size_t key_of(uint32_t number)
{
    memset(key, 'k', sizeof key);
    key[0] = (unsigned char)number;
    return 4 + number % (KEY_LEN_MAX - 3);
}

static size_t some_key(void)
{
    return key_of(random_below(1 + random_below(KEYS)));
}

/* Most values are short, some are in several pieces. */
static size_t some_value(void)
{
    memset(value, (int)random_below(256), sizeof value);
    return random_below(10) == 0 ? random_below(VALUE_LEN_MAX) : random_below(60);
}

static uint64_t some_ttl_ms(void)
{
    return random_below(3) == 0 ? 1 + random_below(5000) : LARDER_TTL_NEVER;
}

static void reads(void)
{
    static larder_item_info info;
    static larder_view view;
    static uint64_t ttl_ms;
    size_t key_len = some_key(), len;
    larder_status status = STACK_OF(larder_cache_contains(cache, key, key_len));
    CHECK_EITHER(status, LARDER_OK, LARDER_NOT_FOUND);
    CHECK(STACK_OF(larder_cache_get(cache, key, key_len, value, sizeof value, &len)) == status);
    CHECK(STACK_OF(larder_cache_try_get(cache, key, key_len, value, sizeof value, &len)) == status);
    CHECK(STACK_OF(larder_cache_get_range(cache, key, key_len, 0, value, 8, &len)) == status);
    CHECK(STACK_OF(larder_cache_ttl(cache, key, key_len, &ttl_ms)) == status);
    CHECK(STACK_OF(larder_cache_item_info(cache, key, key_len, &info)) == status);
    CHECK(STACK_OF(larder_cache_pin(cache, key, key_len, &view)) == status);
    if (status == LARDER_OK)
        CHECK(STACK_OF(larder_cache_unpin(cache, &view)) == LARDER_OK);
}

static void writes(void)
{
    size_t key_len = some_key(), len = some_value();
    CHECK(STACK_OF(larder_cache_set(cache, key, key_len, value, len, some_ttl_ms())) == LARDER_OK);
    key_len = some_key(), len = some_value();
    CHECK(STACK_OF(larder_cache_try_set(cache, key, key_len, value, len, some_ttl_ms())) == LARDER_OK);
    key_len = some_key(), len = some_value();
    CHECK_EITHER(STACK_OF(larder_cache_add(cache, key, key_len, value, len, some_ttl_ms())), LARDER_OK, LARDER_EXISTS);
    key_len = some_key(), len = some_value();
    CHECK_EITHER(STACK_OF(larder_cache_replace(cache, key, key_len, value, len, some_ttl_ms())), LARDER_OK,
                 LARDER_NOT_FOUND);
    key_len = some_key();
    CHECK_EITHER(STACK_OF(larder_cache_touch(cache, key, key_len, some_ttl_ms())), LARDER_OK, LARDER_NOT_FOUND);
    key_len = some_key();
    CHECK_EITHER(STACK_OF(larder_cache_delete(cache, key, key_len)), LARDER_OK, LARDER_NOT_FOUND);
    key_len = some_key();
    CHECK_EITHER(STACK_OF(larder_cache_try_delete(cache, key, key_len)), LARDER_OK, LARDER_NOT_FOUND);
}

static void reservations(void)
{
    static larder_reservation reservation;
    size_t key_len = some_key();
    CHECK(STACK_OF(larder_cache_reserve(cache, key, key_len, 40, some_ttl_ms(), &reservation)) == LARDER_OK);
    memset(reservation.data, 0, reservation.span_len);
    if (random_below(4) == 0)
        CHECK(STACK_OF(larder_cache_abort(cache, &reservation)) == LARDER_OK);
    else
        CHECK(STACK_OF(larder_cache_commit(cache, &reservation)) == LARDER_OK);
}

static void numbers(void)
{
    static int64_t sum;
    size_t key_len = key_of(KEYS);
    CHECK(STACK_OF(larder_cache_set_i64(cache, key, key_len, 1, LARDER_TTL_NEVER)) == LARDER_OK);
    CHECK(STACK_OF(larder_cache_increment(cache, key, key_len, 41, &sum)) == LARDER_OK && sum == 42);
    CHECK(STACK_OF(larder_cache_get_i64(cache, key, key_len, &sum)) == LARDER_OK && sum == 42);
}

static void many_at_once(void)
{
    static larder_get_request gets[2];
    static larder_set_request sets[2];
    size_t key_len = some_key();
    for (int i = 0; i < 2; i++) {
        gets[i] = (larder_get_request){ .key = key, .key_len = key_len, .buffer = value, .capacity = sizeof value };
        sets[i] = (larder_set_request){ .key = key, .key_len = key_len, .value = value, .value_len = some_value() };
    }
    CHECK(STACK_OF(larder_cache_get_many(cache, gets, 2)) == LARDER_OK);
    CHECK(STACK_OF(larder_cache_set_many(cache, sets, 2)) == LARDER_OK);
}

static int32_t visit(void *ctx, const larder_item_info *item)
{
    (void)ctx;
    (void)item;
    return 0;
}

static void upkeep(larder_monitor *monitor, uint64_t now_ms)
{
    static larder_optimize_report report;
    CHECK(STACK_OF(larder_cache_set_time(cache, now_ms)) == LARDER_OK);
    CHECK_EITHER(STACK_OF(larder_cache_optimize(cache, 8, &report)), LARDER_OK, LARDER_AGAIN);
    CHECK(STACK_OF(larder_monitor_poll(monitor, now_ms)) == LARDER_OK);
}

static void now_and_then(void)
{
    static larder_cache_stats_t stats;
    static larder_cursor cursor;
    size_t limit = random_below(2) == 0 ? sizeof region : sizeof region * 3 / 4;
    stats.struct_size = sizeof stats;
    cursor.position = 0;
    CHECK(STACK_OF(larder_cache_set_memory_limit(cache, limit)) == LARDER_OK);
    CHECK(STACK_OF(larder_cache_check(cache)) == LARDER_OK);
    CHECK(STACK_OF(larder_cache_stats(cache, &stats)) == LARDER_OK);
    CHECK(STACK_OF(larder_cache_scan(cache, &cursor, visit, NULL)) == LARDER_OK);
    if (random_below(4) == 0)
        CHECK(STACK_OF(larder_cache_clear(cache)) == LARDER_OK);
}

static void drive_cache(void)
{
    static larder_cache_config config;
    static larder_monitor monitor;
    CHECK(STACK_OF(larder_cache_config_init(&config, sizeof config)) == LARDER_OK);
    /* Exact LRU is left out of builds for firmware. */
    config.policy = LARDER_POLICY_LRU;
    CHECK(larder_cache_init(region, sizeof region, &config, &cache) == LARDER_INVALID);
    config.policy = LARDER_POLICY_DEFAULT;
    CHECK(STACK_OF(larder_cache_init(region, sizeof region, &config, &cache)) == LARDER_OK);
    CHECK(STACK_OF(larder_monitor_init(&monitor, cache, NULL)) == LARDER_OK);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        reads();
        writes();
        if (round % 4 == 0)
            reservations();
        if (round % 4 == 1)
            numbers();
        if (round % 4 == 2)
            many_at_once();
        upkeep(&monitor, (uint64_t)round * 100);
        if (round % 256 == 255)
            now_and_then();
    }
}

/* ---- pool and arena, in the same memory ---- */

static void drive_pool(void)
{
    static larder_block blocks[16];
    larder_pool *pool = NULL;
    CHECK(STACK_OF(larder_pool_init(region, sizeof region, NULL, &pool)) == LARDER_OK);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        larder_block *block = &blocks[random_below(16)];
        if (block->in_use)
            CHECK(STACK_OF(larder_block_release(block)) == LARDER_OK);
        size_t size = 1 + random_below(random_below(8) == 0 ? 700 : 100);
        CHECK_EITHER(STACK_OF(larder_pool_alloc(pool, size, block)), LARDER_OK, LARDER_NO_MEMORY);
    }
}

static void drive_arena(void)
{
    larder_arena *arena = NULL;
    void *part;
    CHECK(STACK_OF(larder_arena_init(region, sizeof region, &arena)) == LARDER_OK);
    for (uint32_t round = 0; round < 1000; round++)
        if (STACK_OF(larder_arena_alloc(arena, 1 + random_below(100), 8, &part)) == LARDER_NO_MEMORY)
            CHECK(STACK_OF(larder_arena_reset(arena)) == LARDER_OK);
}

int main(void)
{
    drive_cache();
    CHECK(larder_cache_check(cache) == LARDER_OK);
    drive_pool();
    drive_arena();
    for (unsigned i = 0; i < FUNCTIONS_MAX && deepest[i].name[0] != '\0'; i++)
        printf("stack %s %u\n", deepest[i].name, (unsigned)deepest[i].bytes);
    printf("stack: %u passed, %u failed\n", checks - checks_failed, checks_failed);
    return checks_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
