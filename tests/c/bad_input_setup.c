/* bad_input_setup.c: every bad value of every parameter of the set-up calls (memory, configurations, sizes) is
 * refused and changes nothing. Every status has a text. */
#include "check.h"

enum { REGION_SIZE = 64 * 1024 };

/* Marks outputs that must stay unwritten. */
static char unwritten;

/* ---- init(memory, size, out) ---- */

struct noun {
    const char *name;
    larder_status (*init)(void *memory, size_t size, void **out);
};

static larder_status init_arena(void *memory, size_t size, void **out)
{
    larder_arena *arena = (larder_arena *)&unwritten;
    larder_status status = larder_arena_init(memory, size, out ? &arena : NULL);
    if (out)
        *out = arena;
    return status;
}

static larder_status init_pool(void *memory, size_t size, void **out)
{
    larder_pool *pool = (larder_pool *)&unwritten;
    larder_pool_config config;
    CHECK_STATUS(larder_pool_config_init(&config, sizeof config), LARDER_OK);
    larder_status status = larder_pool_init(memory, size, &config, out ? &pool : NULL);
    if (out)
        *out = pool;
    return status;
}

static larder_status init_cache(void *memory, size_t size, void **out)
{
    larder_cache *cache = (larder_cache *)&unwritten;
    larder_status status = larder_cache_init(memory, size, NULL, out ? &cache : NULL);
    if (out)
        *out = cache;
    return status;
}

static const struct noun nouns[] = {{"arena_init", init_arena}, {"pool_init", init_pool}, {"cache_init", init_cache}};

struct memory_case {
    const char *name;
    int has_memory;
    size_t shift, size;
    larder_status want;
};

static const struct memory_case memory_cases[] = {
    {"memory NULL", 0, 0, REGION_SIZE, LARDER_INVALID},
    {"memory + 1", 1, 1, REGION_SIZE - 16, LARDER_MISALIGNED},
    {"memory + 4", 1, 4, REGION_SIZE - 16, LARDER_MISALIGNED},
    {"memory + 8", 1, 8, REGION_SIZE - 16, LARDER_MISALIGNED},
    {"memory + 15", 1, 15, REGION_SIZE - 16, LARDER_MISALIGNED},
    {"size 0", 1, 0, 0, LARDER_NO_MEMORY},
    {"size 1", 1, 0, 1, LARDER_NO_MEMORY},
    {"size 15", 1, 0, 15, LARDER_NO_MEMORY},
    {"size 16", 1, 0, 16, LARDER_NO_MEMORY},
    {"size SIZE_MAX", 1, 0, SIZE_MAX, ANY_ERROR},
    {"size SIZE_MAX - 15", 1, 0, SIZE_MAX - 15, ANY_ERROR},
    {"size SIZE_MAX / 2 + 1", 1, 0, SIZE_MAX / 2 + 1, ANY_ERROR},
};

static void inits_refuse_bad_memory(void)
{
    struct region region = region_new(REGION_SIZE);
    for (size_t n = 0; n < sizeof nouns / sizeof nouns[0]; n++) {
        for (size_t c = 0; c < sizeof memory_cases / sizeof memory_cases[0]; c++) {
            const struct memory_case *m = &memory_cases[c];
            void *out = NULL;
            set_context(nouns[n].name, m->name);
            memset(region.memory, DIRT_BYTE, region.size);
            CHECK_STATUS(nouns[n].init(m->has_memory ? region.memory + m->shift : NULL, m->size, &out), m->want);
            CHECK(out == (void *)&unwritten);
            CHECK(all_bytes_are(region.memory, region.size, DIRT_BYTE));
        }
        set_context(nouns[n].name, "out NULL");
        memset(region.memory, DIRT_BYTE, region.size);
        CHECK_STATUS(nouns[n].init(region.memory, region.size, NULL), LARDER_INVALID);
        CHECK(all_bytes_are(region.memory, region.size, DIRT_BYTE));
    }
    region_free(&region);
}

/* For any size, a region is either taken or left unchanged, and no byte outside the region is written. */
static void inits_take_or_leave_any_size(void)
{
    size_t step = (size_t)check_rounds(13, 401);
    for (size_t n = 0; n < sizeof nouns / sizeof nouns[0]; n++) {
        for (size_t size = 0; size < 9000; size += step) {
            struct region region = region_new(size);
            void *out = NULL;
            set_context(nouns[n].name, "small regions");
            larder_status status = nouns[n].init(region.memory, size, &out);
            CHECK(status == LARDER_OK || status == LARDER_NO_MEMORY);
            if (status == LARDER_OK)
                CHECK(region_has(&region, out, 1));
            else
                CHECK(out == (void *)&unwritten && all_bytes_are(region.memory, size, DIRT_BYTE));
            region_free(&region);
        }
    }
}

/* ---- config_init(config, struct_size) ---- */

struct config_noun {
    const char *name;
    larder_status (*init)(void *config, size_t struct_size);
    size_t size;
};

static larder_status init_pool_config(void *config, size_t struct_size)
{
    return larder_pool_config_init((larder_pool_config *)config, struct_size);
}

static larder_status init_cache_config(void *config, size_t struct_size)
{
    return larder_cache_config_init((larder_cache_config *)config, struct_size);
}

static larder_status init_monitor_config(void *config, size_t struct_size)
{
    return larder_monitor_config_init((larder_monitor_config *)config, struct_size);
}

static const struct config_noun config_nouns[] = {
    {"pool_config_init", init_pool_config, sizeof(larder_pool_config)},
    {"cache_config_init", init_cache_config, sizeof(larder_cache_config)},
    {"monitor_config_init", init_monitor_config, sizeof(larder_monitor_config)},
};

static union {
    unsigned char bytes[1024];
    uint64_t aligned;
} config_memory;

static void check_config_init(const struct config_noun *noun, size_t struct_size, larder_status want)
{
    uint32_t written[2];
    size_t from = want == LARDER_OK ? struct_size : 0;
    memset(config_memory.bytes, DIRT_BYTE, sizeof config_memory.bytes);
    CHECK_STATUS(noun->init(config_memory.bytes, struct_size), want);
    CHECK(all_bytes_are(config_memory.bytes + from, sizeof config_memory.bytes - from, DIRT_BYTE));
    memcpy(written, config_memory.bytes, sizeof written);
    if (want == LARDER_OK)
        CHECK(written[0] == struct_size && written[1] == 1);
}

static void config_inits_check_the_size(void)
{
    for (size_t n = 0; n < sizeof config_nouns / sizeof config_nouns[0]; n++) {
        const struct config_noun *noun = &config_nouns[n];
        set_context(noun->name, "struct_size");
        CHECK_STATUS(noun->init(NULL, noun->size), LARDER_INVALID);
        CHECK_STATUS(noun->init(NULL, 0), LARDER_INVALID);
        check_config_init(noun, 0, LARDER_INVALID);
        check_config_init(noun, 4, LARDER_INVALID);
        check_config_init(noun, 7, LARDER_INVALID);
        check_config_init(noun, 10, LARDER_INVALID);
        check_config_init(noun, noun->size - 1, LARDER_INVALID);
        check_config_init(noun, noun->size + 8, LARDER_VERSION_MISMATCH);
        check_config_init(noun, UINT32_MAX - 7, LARDER_VERSION_MISMATCH);
        check_config_init(noun, SIZE_MAX - 7, LARDER_VERSION_MISMATCH);
        for (size_t size = 8; size <= noun->size; size += sizeof(void *))
            check_config_init(noun, size, LARDER_OK);
    }
}

/* ---- cache configurations ---- */

struct cache_config_case {
    const char *name;
    void (*spoil)(larder_cache_config *config);
    int is_about_the_struct; /* required_size refuses the configuration, too */
    larder_status want;
};

static void cc_size_0(larder_cache_config *c)
{
    c->struct_size = 0;
}

static void cc_size_4(larder_cache_config *c)
{
    c->struct_size = 4;
}

static void cc_size_above(larder_cache_config *c)
{
    c->struct_size = (uint32_t)sizeof *c + 8;
}

static void cc_size_max(larder_cache_config *c)
{
    c->struct_size = UINT32_MAX - 7;
}

static void cc_abi_0(larder_cache_config *c)
{
    c->abi_version = 0;
}

static void cc_abi_2(larder_cache_config *c)
{
    c->abi_version = 2;
}

static void cc_abi_max(larder_cache_config *c)
{
    c->abi_version = UINT32_MAX;
}

static void cc_policy_99(larder_cache_config *c)
{
    c->policy = 99;
}

static void cc_policy_max(larder_cache_config *c)
{
    c->policy = UINT32_MAX;
}

static void cc_shards_65(larder_cache_config *c)
{
    c->shards = 65;
}

static void cc_shards_max(larder_cache_config *c)
{
    c->shards = UINT32_MAX;
}

static void cc_flag_unknown(larder_cache_config *c)
{
    c->flags = UINT32_C(1) << 31;
}

static void cc_flags_all(larder_cache_config *c)
{
    c->flags = UINT32_MAX;
}

static void cc_limit_above(larder_cache_config *c)
{
    c->memory_limit = REGION_SIZE + 1;
}

static void cc_limit_max(larder_cache_config *c)
{
    c->memory_limit = SIZE_MAX;
}

static void cc_limit_1(larder_cache_config *c)
{
    c->memory_limit = 1;
}

static void cc_limit_16(larder_cache_config *c)
{
    c->memory_limit = 16;
}

static int32_t lock_nothing(void *ctx)
{
    (void)ctx;
    return 0;
}

static void cc_lock_alone(larder_cache_config *c)
{
    c->lock = lock_nothing;
}

static const struct cache_config_case cache_config_cases[] = {
    {"struct_size 0", cc_size_0, 1, LARDER_INVALID},
    {"struct_size 4", cc_size_4, 1, LARDER_INVALID},
    {"struct_size + 8", cc_size_above, 1, LARDER_VERSION_MISMATCH},
    {"struct_size UINT32_MAX - 7", cc_size_max, 1, LARDER_VERSION_MISMATCH},
    {"abi_version 0", cc_abi_0, 1, LARDER_VERSION_MISMATCH},
    {"abi_version 2", cc_abi_2, 1, LARDER_VERSION_MISMATCH},
    {"abi_version UINT32_MAX", cc_abi_max, 1, LARDER_VERSION_MISMATCH},
    {"policy 99", cc_policy_99, 1, LARDER_INVALID},
    {"policy UINT32_MAX", cc_policy_max, 1, LARDER_INVALID},
    {"shards 65", cc_shards_65, 1, LARDER_INVALID},
    {"shards UINT32_MAX", cc_shards_max, 1, LARDER_INVALID},
    {"unknown flag", cc_flag_unknown, 1, LARDER_INVALID},
    {"all flags", cc_flags_all, 1, LARDER_INVALID},
    {"lock without unlock", cc_lock_alone, 1, LARDER_INVALID},
    {"memory_limit above the region", cc_limit_above, 0, LARDER_INVALID},
    {"memory_limit SIZE_MAX", cc_limit_max, 0, LARDER_INVALID},
    {"memory_limit 1", cc_limit_1, 0, LARDER_NO_MEMORY},
    {"memory_limit 16", cc_limit_16, 0, LARDER_NO_MEMORY},
};

static void bad_cache_configs_are_refused(void)
{
    struct region region = region_new(REGION_SIZE);
    for (size_t i = 0; i < sizeof cache_config_cases / sizeof cache_config_cases[0]; i++) {
        const struct cache_config_case *c = &cache_config_cases[i];
        larder_cache_config config = config_default();
        larder_cache *cache = (larder_cache *)&unwritten;
        size_t size = 77;
        set_context("cache_init", c->name);
        c->spoil(&config);
        CHECK_STATUS(larder_cache_init(region.memory, region.size, &config, &cache), c->want);
        CHECK(cache == (larder_cache *)&unwritten);
        CHECK(all_bytes_are(region.memory, region.size, DIRT_BYTE));
        if (c->is_about_the_struct)
            CHECK_STATUS(larder_cache_required_size(&config, 10, 16, 100, &size), c->want);
        CHECK(size == 77);
    }
    region_free(&region);
}

/* ---- attach(memory, size, config, out, report), over a cache that an earlier owner left ---- */

enum { LEFT_ITEMS = 50 };

struct left {
    struct region region;
    unsigned char image[REGION_SIZE]; /* the region's bytes when the owner left */
};

/* The structure is static, since it is large. */
static struct left *left_cache(void)
{
    static struct left left;
    left.region = region_new(REGION_SIZE);
    larder_cache_config config = config_default();
    larder_cache *cache = cache_new(&left.region, &config);
    for (uint32_t i = 0; i < LEFT_ITEMS; i++)
        CHECK_STATUS(larder_cache_set(cache, &i, sizeof i, &i, sizeof i, 0), LARDER_OK);
    bytes_are_defined(left.region.memory, REGION_SIZE);
    memcpy(left.image, left.region.memory, REGION_SIZE);
    return &left;
}

/* Checks that the call is refused and changes nothing. `found`: the report's answer, -1 if there is none. */
static void check_no_attach(struct left *left, void *memory, size_t size, const larder_cache_config *config,
                            larder_status want, int found)
{
    larder_attach_report report;
    larder_cache *cache = (larder_cache *)&unwritten;
    memset(&report, DIRT_BYTE, sizeof report);
    CHECK_STATUS(larder_cache_attach(memory, size, config, &cache, &report), want);
    CHECK(cache == (larder_cache *)&unwritten);
    CHECK(memcmp(left->region.memory, left->image, REGION_SIZE) == 0);
    if (found < 0)
        CHECK(all_bytes_are(&report, sizeof report, DIRT_BYTE));
    else
        CHECK(report.found == (uint32_t)found && all_bytes_are(&report.reserved, sizeof report - 4, 0));
    CHECK_STATUS(larder_cache_attach(memory, size, config, &cache, NULL), want);
    CHECK_STATUS(larder_cache_attach(memory, size, config, NULL, &report), LARDER_INVALID);
    CHECK(cache == (larder_cache *)&unwritten);
    CHECK(memcmp(left->region.memory, left->image, REGION_SIZE) == 0);
}

/* Checks that a good attach still finds everything after the refused ones. */
static void check_attach(struct left *left, const larder_cache_config *config)
{
    larder_attach_report report;
    larder_cache *cache = NULL;
    CHECK_STATUS(larder_cache_attach(left->region.memory, REGION_SIZE, config, &cache, &report), LARDER_OK);
    CHECK(report.found == LARDER_FOUND_CACHE && report.items_recovered == LEFT_ITEMS && report.items_dropped == 0);
    check_cache(cache, &left->region);
    for (uint32_t i = 0; i < LEFT_ITEMS; i++)
        CHECK_STATUS(larder_cache_contains(cache, &i, sizeof i), LARDER_OK);
    memcpy(left->region.memory, left->image, REGION_SIZE);
}

static void attach_refuses_bad_memory(void)
{
    struct left *left = left_cache();
    larder_cache_config config = config_default();
    for (size_t c = 0; c < sizeof memory_cases / sizeof memory_cases[0]; c++) {
        const struct memory_case *m = &memory_cases[c];
        /* a region too small for a cache holds none */
        int is_empty = m->want == LARDER_NO_MEMORY;
        set_context("cache_attach", m->name);
        check_no_attach(left, m->has_memory ? left->region.memory + m->shift : NULL, m->size, &config,
                        is_empty ? LARDER_NOT_FOUND : m->want, is_empty ? LARDER_FOUND_NOTHING : -1);
    }
    set_context("cache_attach", "half the memory");
    check_no_attach(left, left->region.memory, REGION_SIZE / 2, &config, LARDER_VERSION_MISMATCH,
                    LARDER_FOUND_OTHER_LAYOUT);
    set_context("cache_attach", "memory behind the start");
    check_no_attach(left, left->region.memory + 4096, REGION_SIZE - 4096, &config, LARDER_NOT_FOUND,
                    LARDER_FOUND_NOTHING);
    check_attach(left, &config);
    check_attach(left, NULL);
    region_free(&left->region);
}

static void attach_refuses_bad_configs(void)
{
    struct left *left = left_cache();
    for (size_t i = 0; i < sizeof cache_config_cases / sizeof cache_config_cases[0]; i++) {
        const struct cache_config_case *c = &cache_config_cases[i];
        larder_cache_config config = config_default();
        set_context("cache_attach", c->name);
        c->spoil(&config);
        check_no_attach(left, left->region.memory, REGION_SIZE, &config, c->want, -1);
    }
    for (uint32_t size = 8; size <= sizeof(larder_cache_config); size += (uint32_t)sizeof(void *)) {
        larder_cache_config config = config_default();
        set_context("cache_attach", "shorter struct_size");
        memset((unsigned char *)&config + size, DIRT_BYTE, sizeof config - size);
        config.struct_size = size;
        check_attach(left, &config);
    }
    region_free(&left->region);
}

static void attach_reports_each_difference_of_the_configuration(void)
{
    struct left *left = left_cache();
    for (int i = 0; i < 5; i++) {
        larder_cache_config config = config_default();
        set_context("cache_attach", "made otherwise");
        if (i == 0)
            config.policy = LARDER_POLICY_LRU;
        if (i == 1)
            config.shards = 2;
        if (i == 2)
            config.flags = LARDER_ITEM_TIMES;
        if (i == 3)
            config.flags = LARDER_CHECKSUM;
        if (i == 4)
            config.hash_seed = 1;
        check_no_attach(left, left->region.memory, REGION_SIZE, &config, LARDER_VERSION_MISMATCH,
                        i == 4 ? LARDER_FOUND_OTHER_SEED : LARDER_FOUND_OTHER_LAYOUT);
    }
    region_free(&left->region);
}

/* The expected answer for a region with another byte `at`: the first bytes are magic, version, layout and seed. */
static int found_without(size_t at)
{
    if (at < 4)
        return LARDER_FOUND_NOTHING;
    if (at < 8)
        return LARDER_FOUND_OTHER_VERSION;
    return at < 12 ? LARDER_FOUND_OTHER_LAYOUT : LARDER_FOUND_OTHER_SEED;
}

static void attach_looks_at_the_first_bytes(void)
{
    struct left *left = left_cache();
    for (size_t at = 0; at < 16; at++) {
        int found = found_without(at);
        set_context("cache_attach", "another first byte");
        left->region.memory[at] ^= 0x10;
        left->image[at] ^= 0x10;
        check_no_attach(left, left->region.memory, REGION_SIZE, NULL,
                        found == LARDER_FOUND_NOTHING ? LARDER_NOT_FOUND : LARDER_VERSION_MISMATCH, found);
        left->region.memory[at] ^= 0x10;
        left->image[at] ^= 0x10;
    }
    check_attach(left, NULL);
    set_context("cache_attach", "the other order of bytes");
    for (size_t i = 0; i < 4; i++)
        left->region.memory[i] = left->image[3 - i];
    memcpy(left->image, left->region.memory, 4);
    check_no_attach(left, left->region.memory, REGION_SIZE, NULL, LARDER_VERSION_MISMATCH,
                    LARDER_FOUND_OTHER_VERSION);
    region_free(&left->region);
}

/* Numbers out of range without a documented status are accepted or refused, never partly accepted. */
static void huge_config_numbers_are_survived(void)
{
    struct region region = region_new(REGION_SIZE);
    for (int i = 0; i < 8; i++) {
        larder_cache_config config = config_default();
        larder_cache *cache = (larder_cache *)&unwritten;
        set_context("cache_init", "huge numbers");
        if (i == 0)
            config.key_len_max = SIZE_MAX;
        if (i == 1)
            config.value_len_max = SIZE_MAX;
        if (i == 2)
            config.expected_items = UINT64_MAX;
        if (i == 3)
            config.pins_max = UINT32_MAX;
        if (i == 4)
            config.default_ttl_ms = UINT64_MAX;
        if (i == 5)
            config.hash_seed = UINT64_MAX;
        if (i == 6)
            config.shards = 64;
        if (i == 7)
            config.expected_items = UINT64_C(1) << 40;
        memset(region.memory, DIRT_BYTE, region.size);
        larder_status status = larder_cache_init(region.memory, region.size, &config, &cache);
        if (status == LARDER_OK) {
            CHECK_STATUS(larder_cache_set(cache, "key", 3, "value", 5, 0), LARDER_OK);
            CHECK_STATUS(larder_cache_contains(cache, "key", 3), LARDER_OK);
            check_cache(cache, &region);
        } else {
            CHECK(status == LARDER_INVALID || status == LARDER_TOO_LARGE || status == LARDER_NO_MEMORY);
            CHECK(cache == (larder_cache *)&unwritten);
            CHECK(all_bytes_are(region.memory, region.size, DIRT_BYTE));
        }
    }
    region_free(&region);
}

/* A host built with an older, shorter struct: fields that the struct lacks have their defaults. */
static void shorter_configs_are_honoured(void)
{
    struct region region = region_new(REGION_SIZE);
    for (uint32_t size = 8; size <= sizeof(larder_cache_config); size += (uint32_t)sizeof(void *)) {
        larder_cache_config config = config_default(), dirt;
        set_context("cache_init", "shorter struct_size");
        memset(&dirt, DIRT_BYTE, sizeof dirt);
        memcpy((unsigned char *)&config + size, (unsigned char *)&dirt + size, sizeof config - size);
        config.struct_size = size;
        size_t required = 0;
        CHECK_STATUS(larder_cache_required_size(&config, 10, 16, 100, &required), LARDER_OK);
        CHECK(required > 0);
        larder_cache *cache = cache_new(&region, &config);
        CHECK_STATUS(larder_cache_set(cache, "key", 3, "value", 5, 0), LARDER_OK);
        CHECK(larder_cache_memory_limit(cache) == region.size);
        check_cache(cache, &region);
    }
    region_free(&region);
}

static void required_size_refuses_items_that_no_region_holds(void)
{
    size_t size = 77;
    larder_cache_config config = config_default();
    set_context("required_size", "bad numbers");
    CHECK_STATUS(larder_cache_required_size(&config, 10, 16, 100, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_required_size(NULL, 10, 16, 100, NULL), LARDER_INVALID);
    CHECK_STATUS(larder_cache_required_size(&config, UINT64_MAX, 16, 100, &size), ANY_ERROR);
    CHECK_STATUS(larder_cache_required_size(&config, 10, 256, 100, &size), ANY_ERROR);
    CHECK_STATUS(larder_cache_required_size(&config, 10, SIZE_MAX, 100, &size), ANY_ERROR);
    CHECK_STATUS(larder_cache_required_size(&config, 10, 16, SIZE_MAX, &size), ANY_ERROR);
    CHECK_STATUS(larder_cache_required_size(&config, UINT64_MAX, SIZE_MAX, SIZE_MAX, &size), ANY_ERROR);
    CHECK_STATUS(larder_cache_required_size(&config, UINT64_C(1) << 62, 16, 100, &size), ANY_ERROR);
    CHECK(size == 77);
    CHECK_STATUS(larder_cache_required_size(NULL, 10, 16, 100, &size), LARDER_OK);
    CHECK(size > 10 * 116);
}

/* ---- texts and versions ---- */

static void every_status_has_a_text(void)
{
    static const larder_status unknown[] = {1, 2, 100, -15, -16, -1000, INT32_MAX, INT32_MIN};
    set_context("strerror", "status");
    for (larder_status a = LARDER_PINNED; a <= LARDER_OK; a++) {
        const char *text = larder_strerror(a);
        if (!CHECK(text != NULL && text[0] != '\0'))
            continue;
        for (larder_status b = LARDER_PINNED; b < a; b++)
            CHECK(strcmp(text, larder_strerror(b)) != 0);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        const char *text = larder_strerror(unknown[i]);
        CHECK(text != NULL && text[0] != '\0');
    }
}

static void header_and_library_agree_on_the_version(void)
{
    char text[32];
    set_context("version", "header against library");
    snprintf(text, sizeof text, "%d.%d.%d", LARDER_VERSION_MAJOR, LARDER_VERSION_MINOR, LARDER_VERSION_PATCH);
    CHECK(larder_version_number() == LARDER_VERSION_NUMBER);
    CHECK(LARDER_VERSION_NUMBER == LARDER_VERSION_MAJOR * 10000 + LARDER_VERSION_MINOR * 100 + LARDER_VERSION_PATCH);
    CHECK(strcmp(larder_version_string(), text) == 0);
}

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    inits_refuse_bad_memory();
    inits_take_or_leave_any_size();
    config_inits_check_the_size();
    bad_cache_configs_are_refused();
    attach_refuses_bad_memory();
    attach_refuses_bad_configs();
    attach_reports_each_difference_of_the_configuration();
    attach_looks_at_the_first_bytes();
    huge_config_numbers_are_survived();
    shorter_configs_are_honoured();
    required_size_refuses_items_that_no_region_holds();
    every_status_has_a_text();
    header_and_library_agree_on_the_version();
    return check_end("bad_input_setup");
}
