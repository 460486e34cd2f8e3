/* share_steps.c: a process that shares a cache is killed before every instruction of a call, one after the other. The
 * next process goes on: the walker is content, every other value is as it was, and that of the call is the old one or
 * the new one.
 *
 * share_steps [STRIDE]: kills it before every STRIDE-th instruction (251), from a random one on. A short call has
 * a shorter stride. Linux alone: the child is stepped by ptrace. */
#define _GNU_SOURCE
#include "share.h"

#include <sys/ptrace.h>

enum { SIZE = 320 << 10, KEYS = 120, GONE = 1000, STRIDE = 251, QUICK = 1499, LONG_LEN = 5000, HOUR = 3600000 };
#define SOME_DAY UINT64_C(1800000000000)

static larder_cache *shared;
static unsigned char *mapped, *snapshot, *filled;

/* ---- values ---- */

static size_t len_of(uint32_t key, uint32_t version)
{
    return key % 10 == 9 ? LONG_LEN : 8 + key % 7 * 40 + (version > 1 && key % 2 ? 24 : 0);
}

static void write_value(unsigned char *value, uint32_t key, uint32_t version)
{
    for (size_t i = 0; i < len_of(key, version); i++)
        value[i] = (unsigned char)(key * 7 + version * 13 + i);
}

static larder_status store(uint32_t key, uint32_t version)
{
    unsigned char value[LONG_LEN];
    write_value(value, key, version);
    return larder_cache_set(shared, &key, sizeof key, value, len_of(key, version), LARDER_TTL_NEVER);
}

/* Whether a key has this version; 0 = no value. */
static int has(uint32_t key, uint32_t version)
{
    unsigned char value[LONG_LEN], want[LONG_LEN];
    size_t len = 0;
    larder_status status = larder_cache_get(shared, &key, sizeof key, value, sizeof value, &len);
    if (version == 0)
        return status == LARDER_NOT_FOUND;
    write_value(want, key, version);
    return status == LARDER_OK && len == len_of(key, version) && memcmp(value, want, len) == 0;
}

/* ---- calls ---- */

/* What a call writes and where it reads to, made ready before. */
static unsigned char new_value[LONG_LEN], buffer[LONG_LEN];
static size_t new_len;

static void call_get(uint32_t key)
{
    size_t len;
    (void)larder_cache_get(shared, &key, sizeof key, buffer, sizeof buffer, &len);
}

static void call_set(uint32_t key)
{
    (void)larder_cache_set(shared, &key, sizeof key, new_value, new_len, LARDER_TTL_NEVER);
}

static void call_delete(uint32_t key)
{
    (void)larder_cache_delete(shared, &key, sizeof key);
}

static void call_optimize(uint32_t key)
{
    larder_optimize_report report;
    (void)key;
    (void)larder_cache_optimize(shared, 12, &report);
}

static void call_touch(uint32_t key)
{
    (void)larder_cache_touch(shared, &key, sizeof key, 100000);
}

static void call_append(uint32_t key)
{
    (void)larder_cache_append(shared, &key, sizeof key, "", 0);
}

static void call_pin(uint32_t key)
{
    larder_view view;
    if (larder_cache_pin(shared, &key, sizeof key, &view) == LARDER_OK)
        (void)larder_cache_unpin(shared, &view);
}

static void call_reserve(uint32_t key)
{
    larder_reservation reservation;
    larder_span spans[16];
    size_t count, at = 0;
    if (larder_cache_reserve(shared, &key, sizeof key, new_len, LARDER_TTL_NEVER, &reservation) != LARDER_OK ||
        larder_cache_reservation_spans(shared, &reservation, spans, 16, &count) != LARDER_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        memcpy(spans[i].data, new_value + at, spans[i].len);
        at += spans[i].len;
    }
    (void)larder_cache_commit(shared, &reservation);
}

static void call_set_time(uint32_t key)
{
    (void)key;
    (void)larder_cache_set_time(shared, SOME_DAY);
}

/* ---- what others hold meanwhile ---- */

static larder_reservation older;

/* A reservation that is older than what the call stores. */
static void ready_reservation(uint32_t key)
{
    CHECK_STATUS(larder_cache_reserve(shared, &key, sizeof key, 8, LARDER_TTL_NEVER, &older), LARDER_OK);
}

static void then_too_late(uint32_t key, int is_new)
{
    larder_status status = larder_cache_commit(shared, &older);
    CHECK(status == LARDER_STALE || (status == LARDER_OK && !is_new));
    if (status == LARDER_OK)
        CHECK_STATUS(larder_cache_delete(shared, &key, sizeof key), LARDER_OK);
}

static void ready_expiry(uint32_t key)
{
    CHECK_STATUS(larder_cache_touch(shared, &key, sizeof key, HOUR), LARDER_OK);
}

/* It has not expired: no more time passed than between two looks at one clock. */
static void then_an_hour(uint32_t key, int is_new)
{
    (void)is_new;
    CHECK_STATUS(larder_cache_set_time(shared, SOME_DAY + 1), LARDER_OK);
    CHECK(has(key, 1));
}

/* ---- all of them ---- */

struct call {
    const char *name;
    void (*run)(uint32_t key);
    uint32_t key, old, new;
    /* 0 = that of the run, else at most this. */
    uint64_t stride;
    void (*ready)(uint32_t key);
    void (*then)(uint32_t key, int is_new);
};

static const struct call calls[] = {
    {"get", call_get, 33, 1, 1, 0, NULL, NULL},
    {"get of a long value", call_get, 39, 1, 1, 0, NULL, NULL},
    {"get of nothing", call_get, KEYS + 1, 0, 0, 0, NULL, NULL},
    {"set over an equal size", call_set, 34, 1, 2, 0, NULL, NULL},
    {"set over another size", call_set, 35, 1, 2, 0, NULL, NULL},
    {"set over a long value", call_set, 49, 1, 2, 0, NULL, NULL},
    {"set of a new key", call_set, KEYS + 2, 0, 2, 0, NULL, NULL},
    {"set of a new long value", call_set, KEYS + 9, 0, 2, 0, NULL, NULL},
    {"reserve and commit", call_reserve, 36, 1, 2, 0, NULL, NULL},
    {"reserve and commit a long value", call_reserve, 59, 1, 2, 0, NULL, NULL},
    {"pin and unpin", call_pin, 37, 1, 1, 0, NULL, NULL},
    {"touch", call_touch, 38, 1, 1, 0, NULL, NULL},
    {"append", call_append, 41, 1, 1, 0, NULL, NULL},
    {"delete", call_delete, 34, 1, 0, 0, NULL, NULL},
    {"delete of a long value", call_delete, 39, 1, 0, 0, NULL, NULL},
    {"optimize", call_optimize, 33, 1, 1, 0, NULL, NULL},
    {"set over what is reserved", call_set, 35, 1, 2, 0, ready_reservation, then_too_late},
    {"set of a reserved key", call_set, KEYS + 2, 0, 2, 0, ready_reservation, then_too_late},
    {"set time", call_set_time, 38, 1, 1, 7, ready_expiry, then_an_hour},
};

static const struct call summed_calls[] = {
    {"checksum: touch", call_touch, 38, 1, 1, 0, ready_expiry, NULL},
    {"checksum: set over", call_set, 34, 1, 2, 0, NULL, NULL},
};

/* ---- killing ---- */

/* Runs a call in a child, and kills that before the instruction of this number; 0 where the call has ended before. */
static int killed_before(const struct call *call, uint64_t instruction)
{
    pid_t child = share_fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        kill(getpid(), SIGSTOP);
        call->run(call->key);
        kill(getpid(), SIGSTOP);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP) {
        CHECK(!"the child waits");
        return 0;
    }
    int ended = 0;
    for (uint64_t step = 0; step < instruction && !ended; step++) {
        ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
        waitpid(child, &status, 0);
        ended = !WIFSTOPPED(status) || WSTOPSIG(status) == SIGSTOP;
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return !ended;
}

static void fill(void)
{
    for (uint32_t key = 0; key < KEYS; key++)
        CHECK_STATUS(store(key, 2), LARDER_OK);
    /* What is deleted lies among what stays, so that there is something to optimize. */
    for (uint32_t key = 0; key < KEYS; key++) {
        CHECK_STATUS(store(key, 1), LARDER_OK);
        CHECK_STATUS(store(GONE + key, 1), LARDER_OK);
    }
    for (uint32_t key = GONE; key < GONE + KEYS; key++)
        CHECK_STATUS(larder_cache_delete(shared, &key, sizeof key), LARDER_OK);
    for (uint32_t key = 0; key < KEYS; key++)
        (void)has(key, 1);
}

static void survive(const struct call *call, uint64_t instruction)
{
    char about[64];
    snprintf(about, sizeof about, "killed before instruction %" PRIu64, instruction);
    set_context(call->name, about);
    int old = has(call->key, call->old), new = has(call->key, call->new);
    CHECK(old || new);
    CHECK_STATUS(larder_cache_check(shared), LARDER_OK);
    int others = 1;
    for (uint32_t key = 0; key < KEYS; key++)
        others = others && (key == call->key || has(key, 1));
    CHECK(others);
    if (call->then != NULL)
        call->then(call->key, !old);
    /* The shard works on. */
    CHECK_STATUS(store(KEYS + 20, 1), LARDER_OK);
    CHECK(has(KEYS + 20, 1));
    CHECK_STATUS(larder_cache_reap(shared, NULL, NULL), LARDER_OK);
    larder_cache_stats_t stats = share_stats(shared);
    CHECK(stats.evictions == 0 && stats.views == 0 && stats.reservations == 0);
    CHECK_STATUS(larder_cache_check(shared), LARDER_OK);
}

/* Kills inside a shard, of all calls. */
static uint64_t inside_all;

static void step_through(const struct call *call, uint64_t stride)
{
    set_context(call->name, "made ready");
    if (call->ready != NULL)
        call->ready(call->key);
    memcpy(snapshot, mapped, SIZE);
    if (call->stride > 0 && call->stride < stride)
        stride = call->stride;
    uint64_t instruction = 1 + (uint64_t)rand() % stride, kills = 0, recovered = 0;
    int killed;
    new_len = len_of(call->key, 2);
    write_value(new_value, call->key, 2);
    do {
        killed = killed_before(call, instruction);
        uint64_t recoveries = share_stats(shared).recoveries;
        survive(call, instruction);
        memcpy(mapped, snapshot, SIZE);
        kills += (uint64_t)killed;
        recovered += recoveries;
        instruction += stride;
    } while (killed);
    memcpy(mapped, filled, SIZE);
    printf("share_steps: %-32s %6" PRIu64 " kills, %6" PRIu64 " inside a shard\n", call->name, kills, recovered);
    inside_all += recovered;
}

/* A cache with these flags in which something is. */
static void make(uint32_t flags)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    config.flags = flags;
    mapped = share_map(SIZE);
    CHECK_STATUS(share_make(mapped, SIZE, &config, &shared), LARDER_OK);
    fill();
    CHECK(share_stats(shared).evictions == 0);
    memcpy(filled, mapped, SIZE);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    uint64_t stride = check_quick ? QUICK : argc > 1 ? strtoull(argv[1], NULL, 10) : STRIDE;
    if (stride == 0) {
        fputs("usage: share_steps [STRIDE]\n", stderr);
        return 2;
    }
    srand((unsigned)time(NULL));
    snapshot = malloc(SIZE);
    filled = malloc(SIZE);
    make(0);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        step_through(&calls[i], stride);
    make(LARDER_CHECKSUM);
    for (size_t i = 0; i < sizeof summed_calls / sizeof *summed_calls; i++)
        step_through(&summed_calls[i], stride);
    CHECK(inside_all > sizeof calls / sizeof *calls);
    return check_end("share_steps");
}
