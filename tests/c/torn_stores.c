/* torn_stores.c: an attach recovers a cache whose owner stopped between any two stores.
 *
 * The region is write-protected while a call runs. Before each instruction that stores into the region, the program
 * attaches to a copy of it, as after a power cut. Every item must have the last acknowledged value, or the one being
 * set. Then that instruction runs.
 * For Linux on x86-64. Elsewhere, and with "quick" (valgrind), the program prints that it skips. */
#define _GNU_SOURCE
#include "check.h"

#if defined __linux__ && defined __x86_64__
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { KEYS_MAX = 64, LEN_MAX = 3000, REGION_MAX = 32 * 1024, TRAP_FLAG = 0x100 };

enum action { SET, DELETE, TOUCH, ADD_UP, RESERVE, APPEND, FILL, PUT, OPTIMIZE, LIMIT, GET, CLEAR, ACTIONS };

/* The values set. Version 0: no item. */
static struct journal {
    uint32_t version[KEYS_MAX]; /* acknowledged */
    size_t part[KEYS_MAX];      /* number of the value's bytes set; 0 = all */
    uint32_t key, next_version; /* being set; KEYS_MAX = all keys */
} journal;

struct setting {
    const char *name;
    size_t size;
    uint32_t policy, flags;
    unsigned keys;    /* few enough for no eviction, or many more */
    int roomy;
    size_t len_max;
};

static const struct setting settings[] = {
    { "roomy", 32 * 1024, LARDER_POLICY_DEFAULT, 0, 12, 1, 80 },
    { "roomy, LRU", 32 * 1024, LARDER_POLICY_LRU, LARDER_ZERO_ON_FREE, 12, 1, 80 },
    { "roomy, long", 32 * 1024, LARDER_POLICY_DEFAULT, 0, 5, 1, 3000 },
    { "roomy, long, LRU", 32 * 1024, LARDER_POLICY_LRU, LARDER_CHECKSUM, 5, 1, 3000 },
    { "full", 4096, LARDER_POLICY_DEFAULT, 0, 60, 0, 150 },
    { "full, zeroed", 8192, LARDER_POLICY_DEFAULT, LARDER_ZERO_ON_FREE, 60, 0, 600 },
    { "full, LRU, times", 16 * 1024, LARDER_POLICY_LRU, LARDER_ITEM_TIMES, 60, 0, 3000 },
    { "full, tagged", 16 * 1024, LARDER_POLICY_DEFAULT, LARDER_ITEM_TAGS | LARDER_ITEM_VERSIONS, 60, 0, 600 },
    { "full, checksums", 16 * 1024, LARDER_POLICY_DEFAULT, LARDER_CHECKSUM, 60, 0, 3000 },
};

static const struct setting *setting;
static unsigned char *watched, *copy;
static uint64_t clock_ms;
static struct count {
    unsigned long images, items, lost;
} count;

/* ---- keys and values ---- */

static size_t key_of(uint32_t n, unsigned char *key)
{
    size_t len = 4 + n % 29;
    for (size_t i = 0; i < len; i++)
        key[i] = (unsigned char)(n * 31 + i);
    memcpy(key, &n, sizeof n);
    return len;
}

/* Keys divisible by 8 have numbers: version times 1000. */
static int is_number(uint32_t key)
{
    return key % 8 == 0;
}

static size_t value_of(uint32_t key, uint32_t version, size_t len_max, unsigned char *value)
{
    if (is_number(key)) {
        int64_t number = (int64_t)version * 1000;
        memcpy(value, &number, sizeof number);
        return sizeof number;
    }
    uint64_t state = ((uint64_t)key << 32 | version) * 2 + 1;
    size_t len = 8 + next_random(&state) % (len_max - 8);
    for (size_t i = 0; i < len; i += 8) {
        uint64_t bits = next_random(&state);
        memcpy(value + i, &bits, len - i < 8 ? len - i : 8);
    }
    memcpy(value, &version, sizeof version);
    return len;
}

static larder_cache_config config_of_setting(void)
{
    larder_cache_config config = config_with_clock(&clock_ms);
    config.policy = setting->policy;
    config.flags = setting->flags | LARDER_SINGLE_THREAD;
    return config;
}

/* ---- work ---- */

static void fill_spans(larder_cache *cache, larder_reservation *room, const unsigned char *value)
{
    for (uint32_t i = 0;; i++) {
        void *data;
        size_t len;
        if (larder_cache_reservation_span(cache, room, i, &data, &len) != LARDER_OK)
            return;
        memcpy(data, value, len);
        value += len;
    }
}

static larder_status store(larder_cache *cache, uint32_t n, uint32_t version, int reserve)
{
    unsigned char key[64], value[LEN_MAX + 8];
    size_t key_len = key_of(n, key), len = value_of(n, version, setting->len_max, value);
    uint64_t ttl_ms = version % 3 == 0 ? 3600 * 1000 : LARDER_TTL_NEVER;
    if (is_number(n))
        return larder_cache_set_i64(cache, key, key_len, (int64_t)version * 1000, ttl_ms);
    if (!reserve)
        return larder_cache_set(cache, key, key_len, value, len, ttl_ms);
    larder_reservation room;
    larder_status status = larder_cache_reserve(cache, key, key_len, len, ttl_ms, &room);
    if (status != LARDER_OK)
        return status;
    fill_spans(cache, &room, value);
    return larder_cache_commit(cache, &room);
}

/* The tag of an item is the version of its value, or 0. */
static larder_status put_version(larder_cache *cache, uint32_t n, uint32_t version)
{
    unsigned char key[64], value[LEN_MAX + 8];
    larder_put put = LARDER_PUT_INIT;
    put.key = key;
    put.key_len = key_of(n, key);
    put.value = value;
    put.value_len = value_of(n, version, setting->len_max, value);
    put.tag = setting->flags & LARDER_ITEM_TAGS ? version : 0;
    return larder_cache_put(cache, &put, NULL);
}

/* The lease itself is not a value. */
static larder_status fill_version(larder_cache *cache, uint32_t n, uint32_t version)
{
    unsigned char key[64], value[LEN_MAX + 8];
    size_t key_len = key_of(n, key), len = value_of(n, version, setting->len_max, value);
    larder_lease lease;
    larder_status status = larder_cache_lease(cache, key, key_len, 3600 * 1000, &lease);
    return status == LARDER_OK ? larder_cache_fill(cache, &lease, value, len, 0) : status;
}

static void protect(int readable_only);

/* The first part is set by one step of work, the others are appended by the next. */
static larder_status append_version(larder_cache *cache, uint32_t n, uint32_t version, int is_torn)
{
    unsigned char key[64], value[LEN_MAX + 8];
    size_t key_len = key_of(n, key), len = value_of(n, version, setting->len_max, value);
    protect(0);
    larder_status status = larder_cache_set(cache, key, key_len, value, len / 2, 0);
    if (status != LARDER_OK)
        return status;
    journal.version[n] = version;
    journal.part[n] = len / 2;
    protect(is_torn);
    return larder_cache_append(cache, key, key_len, value + len / 2, len - len / 2);
}

static void set_version(larder_cache *cache, uint32_t n, uint32_t version, int reserve)
{
    larder_status status = store(cache, n, version, reserve);
    CHECK(status == LARDER_OK || status == LARDER_TOO_LARGE);
    if (status == LARDER_OK) {
        journal.version[n] = version;
        journal.part[n] = 0;
    }
}

static void act(larder_cache *cache, uint32_t n, uint32_t version, enum action action, uint64_t bits, int is_torn)
{
    unsigned char key[64], value[LEN_MAX + 8];
    size_t key_len = key_of(n, key), len;
    int64_t sum;
    switch (action) {
    case DELETE:
        larder_cache_delete(cache, key, key_len);
        journal.version[n] = 0;
        break;
    case TOUCH:
        larder_cache_touch(cache, key, key_len, bits % 2 ? LARDER_TTL_NEVER : 7200 * 1000);
        break;
    case ADD_UP:
        if (larder_cache_increment(cache, key, key_len, (version - (int64_t)journal.version[n]) * 1000, &sum) ==
            LARDER_OK)
            journal.version[n] = version;
        break;
    case APPEND:
    case FILL:
    case PUT: {
        larder_status status = action == APPEND ? append_version(cache, n, version, is_torn)
                               : action == FILL ? fill_version(cache, n, version)
                                                : put_version(cache, n, version);
        CHECK(status == LARDER_OK || status == LARDER_TOO_LARGE || (action == FILL && status == LARDER_EXISTS) ||
              (action == FILL && status == LARDER_STALE && !setting->roomy));
        if (status == LARDER_OK) {
            journal.version[n] = version;
            journal.part[n] = 0;
        }
        break;
    }
    case OPTIMIZE:
        larder_cache_optimize(cache, 1 + bits % 64, NULL);
        break;
    case LIMIT:
        larder_cache_set_memory_limit(cache, bits % 2 ? setting->size : setting->size * 15 / 16);
        break;
    case GET:
        larder_cache_get(cache, key, key_len, value, sizeof value, &len);
        break;
    case CLEAR:
        larder_cache_clear(cache);
        for (uint32_t k = 0; k < KEYS_MAX; k++)
            journal.version[k] = 0;
        break;
    default:
        set_version(cache, n, version, action == RESERVE);
    }
}

static enum action some_action(uint32_t key, uint64_t bits)
{
    unsigned chance = bits % 100;
    if (chance < 10)
        return DELETE;
    if (chance < 20)
        return TOUCH;
    if (chance < 26)
        return GET;
    if (chance < 32)
        return OPTIMIZE;
    if (chance < 35 && !setting->roomy)
        return LIMIT;
    if (chance < 36 && !setting->roomy)
        return CLEAR;
    if (chance < 50)
        return is_number(key) ? ADD_UP : RESERVE;
    if (chance < 65 && !is_number(key))
        return chance < 55 ? APPEND : chance < 60 ? FILL : PUT;
    return SET;
}

static void protect(int readable_only)
{
    if (mprotect(watched, REGION_MAX, readable_only ? PROT_READ : PROT_READ | PROT_WRITE) != 0)
        _exit(EXIT_FAILURE);
}

static void work(larder_cache *cache, unsigned ops, int torn, uint64_t *random, uint32_t *version)
{
    for (unsigned i = 0; i < ops; i++) {
        uint64_t bits = next_random(random);
        uint32_t key = (uint32_t)(bits >> 40) % setting->keys;
        enum action action = some_action(key, bits);
        clock_ms += bits >> 8 & 3;
        journal.key = action == CLEAR ? KEYS_MAX : key;
        journal.next_version = ++*version;
        protect(torn);
        act(cache, key, *version, action, bits >> 16, torn);
        protect(0);
        journal.key = KEYS_MAX + 1;
    }
}

/* ---- taking over ---- */

struct seen {
    unsigned char there[KEYS_MAX];
    int wrong;
};

static int is_in_work(uint32_t key)
{
    return journal.key == key || journal.key == KEYS_MAX;
}

static size_t len_of(uint32_t n, uint32_t version, unsigned char *value)
{
    size_t len = value_of(n, version, setting->len_max, value);
    return version == journal.version[n] && journal.part[n] ? journal.part[n] : len;
}

/* `whole`: compare with the value being set instead of the acknowledged one. */
static int is_value(const larder_item_info *item, uint32_t n, uint32_t version, int whole)
{
    static unsigned char want[LEN_MAX + 8];
    size_t len = whole ? value_of(n, version, setting->len_max, want) : len_of(n, version, want);
    return version != 0 && len == item->value_len && memcmp(want, item->value, item->span_len) == 0;
}

static int32_t look(void *ctx, const larder_item_info *item)
{
    struct seen *seen = (struct seen *)ctx;
    unsigned char key[64];
    uint32_t n = KEYS_MAX;
    if (item->key_len >= sizeof n)
        memcpy(&n, item->key, sizeof n);
    if (n >= KEYS_MAX || key_of(n, key) != item->key_len || memcmp(key, item->key, item->key_len) != 0 ||
        seen->there[n]) {
        seen->wrong++;
        return 0;
    }
    seen->there[n] = 1;
    int right = is_value(item, n, journal.version[n], 0) ||
                (is_in_work(n) && is_value(item, n, journal.next_version, 1));
    seen->wrong += !right;
    return 0;
}

/* Whether a get returns the whole value, also of one in several pieces. */
static int reads_right(larder_cache *cache, uint32_t n)
{
    static unsigned char want[LEN_MAX + 8], got[LEN_MAX + 8];
    unsigned char key[64];
    larder_item item = LARDER_ITEM_INIT;
    if (larder_cache_get_item(cache, key, key_of(n, key), got, sizeof got, 0, &item) != LARDER_OK)
        return 0;
    for (int i = 0; i < 2; i++) {
        uint32_t version = i == 0 ? journal.version[n] : journal.next_version;
        size_t len = i == 0 ? len_of(n, version, want) : value_of(n, version, setting->len_max, want);
        if (version && len == item.value_len && memcmp(want, got, len) == 0)
            return (i == 0 || is_in_work(n)) && (item.tag == 0 || item.tag == version);
    }
    return 0;
}

static void take_over(void)
{
    larder_cache_config config;
    larder_cache *cache;
    larder_attach_report report;
    larder_cursor cursor = { 0 };
    struct seen seen;
    memset(&seen, 0, sizeof seen);
    config = config_of_setting();
    count.images++;
    memcpy(copy, watched, setting->size);
    if (!CHECK_STATUS(larder_cache_attach(copy, setting->size, &config, &cache, &report), LARDER_OK))
        return;
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    CHECK_STATUS(larder_cache_scan(cache, &cursor, look, &seen), LARDER_OK);
    CHECK(seen.wrong == 0);
    CHECK(report.items_corrupt == 0 || is_in_work(journal.key));
    for (uint32_t n = 0; n < setting->keys; n++) {
        if (seen.there[n] && !CHECK(reads_right(cache, n)))
            fprintf(stderr, "key %u\n", (unsigned)n);
        int is_lost = !seen.there[n] && journal.version[n] && !is_in_work(n);
        count.items += seen.there[n];
        if (setting->roomy && is_lost)
            count.lost++;
    }
}

/* Called before a store into the region. */
static void on_store(int number, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = (ucontext_t *)context;
    const unsigned char *address = (const unsigned char *)info->si_addr;
    if (address < watched || address >= watched + REGION_MAX) {
        signal(number, SIG_DFL);
        return;
    }
    take_over();
    protect(0);
    interrupted->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

/* Called after the store. */
static void on_stored(int number, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = (ucontext_t *)context;
    (void)number;
    (void)info;
    interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    protect(1);
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    sigaction(number, &action, NULL);
}

static void torn_anywhere(unsigned ops)
{
    larder_cache_config config = config_of_setting();
    larder_cache *cache;
    uint64_t random = 77 + setting->size;
    uint32_t version = 0;
    set_context("torn", setting->name);
    memset(&journal, 0, sizeof journal);
    memset(&count, 0, sizeof count);
    clock_ms = 1000;
    if (!CHECK_STATUS(larder_cache_init(watched, setting->size, &config, &cache), LARDER_OK))
        return;
    work(cache, 400, 0, &random, &version);
    work(cache, ops, 1, &random, &version);
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    CHECK(!setting->roomy || stats_of(cache).evictions == 0);
    /* An attach may be interrupted, too. */
    for (int i = 0; i < 3; i++) {
        protect(1);
        CHECK_STATUS(larder_cache_attach(watched, setting->size, &config, &cache, NULL), LARDER_OK);
        work(cache, 5, 1, &random, &version);
    }
    CHECK_STATUS(larder_cache_check(cache), LARDER_OK);
    CHECK(count.images > ops);
    CHECK(count.lost == 0);
    printf("%-17s %u calls, %6lu torn regions, %7lu items taken over, %lu lost\n", setting->name, ops, count.images,
           count.items, count.lost);
}

static unsigned char *pages(void)
{
    void *memory = mmap(NULL, REGION_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        exit(EXIT_FAILURE);
    return (unsigned char *)memory;
}

static void torn_everywhere(unsigned ops)
{
    watched = pages();
    copy = pages();
    handle(SIGSEGV, on_store);
    handle(SIGTRAP, on_stored);
    for (setting = settings; setting < settings + sizeof settings / sizeof settings[0]; setting++)
        torn_anywhere(ops);
}
#else
static void torn_everywhere(unsigned ops)
{
    (void)ops;
    printf("torn_stores: skipped: it steps through stores only on Linux on x86-64\n");
    CHECK(1);
}
#endif

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    if (check_quick) {
        printf("torn_stores: skipped with the argument \"quick\"\n");
        CHECK(1);
    } else {
        torn_everywhere(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 150);
    }
    return check_end("torn_stores");
}
