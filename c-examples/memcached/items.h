/* items.h: memcached's items in larder. memcached's cas is the version, which is one of a shard, with bits of the key's
 * hash behind it, so that items of two shards differ; the tag keeps the client's flags and what the
 * meta commands ask for:
 *
 *    31   30   29    28  27      26          8 7            0
 *    dead wide stale won fetched last access   client flags
 *
 * Client flags above 255 make the item `wide`: they are the value's first 4 bytes then. An item that is `dead` is a
 * miss: its time was up when it was stored, or its version was the one to delete. It expires a millisecond later.
 * The last access is in seconds, and renewed at most once a minute, as memcached does.
 *
 * Each change that depends on the old item is a loop: read the item, put the new one if the version is still that. */
#ifndef MEMCACHED_ITEMS_H
#define MEMCACHED_ITEMS_H

#include "server.h"

#define TAG_DEAD (UINT32_C(1) << 31)
#define TAG_WIDE (UINT32_C(1) << 30)
#define TAG_STALE (UINT32_C(1) << 29)
#define TAG_WON (UINT32_C(1) << 28)
#define TAG_FETCHED (UINT32_C(1) << 27)
#define TAG_SECOND_SHIFT 8
#define TAG_SECOND_MAX UINT32_C(0x7FFFF)
#define TAG_FLAGS_MAX UINT32_C(0xFF)
#define ACCESS_INTERVAL_S 60
#define CAS_HASH_BITS 12
#define WIDE_LEN sizeof(uint32_t)
#define MARGIN 16 /* before a value that may get a wide item's flags in front */

/* memcached counts its header, the NUL of the key and the line's end towards -I. */
#define MEMCACHED_ITEM_OVERHEAD 59
#define RELATIVE_EXPIRY_MAX (60 * 60 * 24 * 30)

enum answer { STORED, NOT_STORED, EXISTS, MISSING, TOO_LARGE, NO_MEMORY, NOT_NUMERIC };

static const char *const ANSWERS[] = { "STORED", "NOT_STORED", "EXISTS", "NOT_FOUND",
                                       "SERVER_ERROR object too large for cache",
                                       "SERVER_ERROR out of memory storing object",
                                       "CLIENT_ERROR cannot increment or decrement non-numeric value" };

struct key {
    const char *at;
    size_t len;
};

/* How long an item lives from now on. */
struct life {
    uint64_t ttl_ms;
    bool is_dead;
};

/* An item as memcached sees it. */
struct entry {
    uint32_t tag, flags;
    uint64_t version, cas, ttl_ms;
    char *value;
    size_t len;
    bool is_new; /* made by this command */
};

static inline bool fits(const struct request *request)
{
    return request->value_len + request->key_len + MEMCACHED_ITEM_OVERHEAD <= server.settings.item_size_max;
}

/* An expiry as clients write it: 0 = never, up to 30 days from now, a second of the calendar beyond. */
static inline struct life life_of(int32_t expiry)
{
    if (expiry == 0)
        return (struct life){ LARDER_TTL_NEVER, false };
    int64_t ttl_ms = (int64_t)expiry * 1000;
    if (expiry > RELATIVE_EXPIRY_MAX)
        ttl_ms -= (int64_t)(clock_ms(CLOCK_REALTIME) + atomic_load(&server.skipped_ms));
    return ttl_ms > 0 ? (struct life){ (uint64_t)ttl_ms, false } : (struct life){ 1, true };
}

static inline uint32_t second_now(void)
{
    return (uint32_t)(now_ms() / 1000) & TAG_SECOND_MAX;
}

static inline uint32_t seconds_since_access(uint32_t tag)
{
    return (second_now() - (tag >> TAG_SECOND_SHIFT)) & TAG_SECOND_MAX;
}

/* The cas of an item. FNV-1a spreads keys over CAS_HASH_BITS. */
static inline uint64_t cas_of(struct key key, uint64_t version)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.at[i]) * UINT32_C(16777619);
    return version << CAS_HASH_BITS | (hash ^ hash >> 16) % (1 << CAS_HASH_BITS);
}

/* ---- reading ---- */

/* As larder_cache_get_item; a dead item is a miss. */
static inline larder_status find(struct key key, char *buffer, size_t capacity, uint32_t flags, larder_item *item)
{
    *item = (larder_item)LARDER_ITEM_INIT;
    larder_status status = larder_cache_get_item(server.cache, key.at, key.len, buffer, capacity, flags, item);
    return (item->tag & TAG_DEAD) != 0 ? LARDER_NOT_FOUND : status;
}

/* What `find` has copied to `buffer`. */
static inline struct entry entry_of(struct key key, const larder_item *item, char *buffer)
{
    struct entry entry = { item->tag, item->tag & TAG_FLAGS_MAX, item->version, cas_of(key, item->version),
                           item->ttl_ms, buffer, (size_t)item->value_len, false };
    if (item->tag & TAG_WIDE) {
        memcpy(&entry.flags, buffer, WIDE_LEN);
        entry.value += WIDE_LEN;
        entry.len -= WIDE_LEN;
    }
    return entry;
}

/* Changes bits of an item's tag; what they were. */
static inline uint32_t set_bits(struct key key, uint32_t mask, uint32_t bits)
{
    uint32_t old = 0;
    larder_cache_set_tag(server.cache, key.at, key.len, mask, bits, &old);
    return old;
}

static inline void note_access(struct key key, uint32_t tag)
{
    if (!(tag & TAG_FETCHED) || seconds_since_access(tag) >= ACCESS_INTERVAL_S)
        set_bits(key, TAG_FETCHED | TAG_SECOND_MAX << TAG_SECOND_SHIFT,
                 TAG_FETCHED | second_now() << TAG_SECOND_SHIFT);
}

/* ---- writing ---- */

/* Puts a value that has MARGIN bytes before it, or MARGIN bytes that are free by now. */
static larder_status put(struct worker *worker, struct key key, char *value, size_t len, uint32_t flags,
                         uint32_t state, struct life life, uint32_t mode, uint64_t *version)
{
    larder_put put = LARDER_PUT_INIT;
    put.key = key.at;
    put.key_len = key.len;
    put.value = value;
    put.value_len = len;
    put.ttl_ms = life.ttl_ms;
    put.mode = mode;
    put.version = mode == LARDER_PUT_IF_VERSION ? *version : 0;
    put.flags = server.settings.no_evict ? LARDER_NO_EVICT : 0;
    put.tag = state | second_now() << TAG_SECOND_SHIFT | (life.is_dead ? TAG_DEAD : 0);
    if (flags <= TAG_FLAGS_MAX) {
        put.tag |= flags;
    } else {
        memcpy(value - WIDE_LEN, &flags, WIDE_LEN);
        put.tag |= TAG_WIDE;
        put.value = value - WIDE_LEN;
        put.value_len += WIDE_LEN;
    }
    larder_status status = larder_cache_put(server.cache, &put, version);
    if (status == LARDER_OK)
        COUNT(worker, total_items);
    return status;
}

/* What a failed put is to the client. */
static enum answer refusal(struct worker *worker, larder_status status)
{
    if (status == LARDER_TOO_LARGE) {
        COUNT(worker, store_too_large);
        return TOO_LARGE;
    }
    COUNT(worker, store_no_memory);
    return NO_MEMORY;
}

static inline bool has_changed_since(larder_status status)
{
    return status == LARDER_STALE || status == LARDER_NOT_FOUND;
}

/* Stores where there is no item, or a dead one. */
static enum answer add_value(struct worker *worker, struct key key, char *value, size_t len, uint32_t flags,
                             uint32_t state, struct life life, uint64_t *version)
{
    for (;;) {
        larder_item item;
        larder_status status = put(worker, key, value, len, flags, state, life, LARDER_PUT_ADD, version);
        if (status == LARDER_OK)
            return STORED;
        if (status != LARDER_EXISTS)
            return refusal(worker, status);
        status = find(key, NULL, 0, LARDER_PEEK, &item);
        if (status != LARDER_NOT_FOUND)
            return NOT_STORED;
        if (item.tag & TAG_DEAD) {
            *version = item.version;
            status = put(worker, key, value, len, flags, state, life, LARDER_PUT_IF_VERSION, version);
            if (status == LARDER_OK)
                return STORED;
        }
    }
}

/* The old value and the new one beside each other in the worker's scratch; false where they are too long. */
static bool join(const struct request *request, const char *value, struct entry *entry)
{
    size_t len = (size_t)request->value_len;
    if (entry->len + len + request->key_len + MEMCACHED_ITEM_OVERHEAD > server.settings.item_size_max)
        return false;
    if (request->mode == STORE_APPEND) {
        memcpy(entry->value + entry->len, value, len);
    } else {
        entry->value -= len;
        memcpy(entry->value, value, len);
    }
    entry->len += len;
    return true;
}

/* Whether a request may change this item; where it may not, or may as a stale one alone, says so. */
static bool version_allows(struct worker *worker, const struct request *request, const struct entry *old,
                           uint32_t *state)
{
    bool matches = request->cas == old->cas;
    *state = 0;
    if (request->mode != STORE_CAS)
        return matches || request->cas == 0;
    if (!matches && request->invalidate && request->cas != 0 && request->cas < old->cas) {
        *state = TAG_STALE | (old->tag & TAG_WON);
        matches = true;
    }
    if (matches)
        COUNT(worker, cas_hits);
    else
        COUNT(worker, cas_badval);
    return matches;
}

/* replace, append, prepend, cas */
static enum answer change_value(struct worker *worker, const struct request *request, char *value, uint64_t *version)
{
    struct key key = { request->key, request->key_len };
    bool joins = request->mode == STORE_APPEND || request->mode == STORE_PREPEND;
    char *buffer = worker->scratch + MARGIN + (request->mode == STORE_PREPEND ? request->value_len : 0);
    for (;;) {
        larder_item item;
        uint32_t state;
        struct life life = life_of(request->expiry);
        larder_status status = find(key, joins ? buffer : NULL, joins ? server.settings.item_size_max : 0,
                                    LARDER_PEEK, &item);
        if (status == LARDER_NOT_FOUND) {
            if (request->mode == STORE_CAS)
                COUNT(worker, cas_misses);
            return request->mode == STORE_CAS ? MISSING : NOT_STORED;
        }
        if (joins && status != LARDER_OK)
            return refusal(worker, status);
        struct entry old = { item.tag, request->flags, item.version, cas_of(key, item.version), 0, value,
                             (size_t)request->value_len, false };
        if (joins)
            old = entry_of(key, &item, buffer);
        if (!version_allows(worker, request, &old, &state))
            return EXISTS;
        if (joins && !join(request, value, &old))
            return NOT_STORED;
        if (joins || state != 0)
            life = (struct life){ LARDER_TTL_KEEP, false };
        *version = item.version;
        status = put(worker, key, old.value, old.len, old.flags, state, life, LARDER_PUT_IF_VERSION, version);
        if (!has_changed_since(status))
            return status == LARDER_OK ? STORED : refusal(worker, status);
    }
}

/* Carries a request out whose value has come; there are MARGIN bytes before it that may be written over. */
static enum answer store(struct worker *worker, const struct request *request, char *value, uint64_t *version)
{
    struct key key = { request->key, request->key_len };
    struct life life = life_of(request->expiry);
    size_t len = (size_t)request->value_len;
    COUNT(worker, cmd_set);
    if (request->mode == STORE_ADD)
        return add_value(worker, key, value, len, request->flags, 0, life, version);
    if (request->mode != STORE_SET)
        return change_value(worker, request, value, version);
    larder_status status = put(worker, key, value, len, request->flags, 0, life, LARDER_PUT_SET, version);
    return status == LARDER_OK ? STORED : refusal(worker, status);
}

/* ---- time to live, deleting ---- */

static enum answer touch(struct key key, struct life life, bool is_access)
{
    larder_item item;
    if (find(key, NULL, 0, LARDER_PEEK, &item) == LARDER_NOT_FOUND)
        return MISSING;
    if (is_access)
        note_access(key, item.tag);
    if (life.is_dead)
        set_bits(key, TAG_DEAD, TAG_DEAD);
    larder_status status = larder_cache_touch(server.cache, key.at, key.len, life.ttl_ms);
    if (status == LARDER_OK)
        return STORED;
    return status == LARDER_NOT_FOUND ? MISSING : NO_MEMORY;
}

/* What `md` does to an item besides deleting it. */
struct unmake {
    uint64_t cas; /* 0 = whatever it is */
    bool marks_stale, takes_value, has_life;
    struct life life;
};

static enum answer unmake(struct worker *worker, struct key key, const struct unmake *how)
{
    bool stays = how->marks_stale || how->takes_value;
    for (;;) {
        larder_item item;
        struct life life = { LARDER_TTL_KEEP, false };
        larder_status status = find(key, worker->scratch + MARGIN, server.settings.item_size_max, LARDER_PEEK, &item);
        if (status == LARDER_NOT_FOUND)
            return MISSING;
        if (how->cas != 0 && cas_of(key, item.version) != how->cas)
            return EXISTS;
        if (!stays && how->cas == 0)
            return larder_cache_delete(server.cache, key.at, key.len) == LARDER_OK ? STORED : MISSING;
        if (status != LARDER_OK)
            return refusal(worker, status);
        struct entry entry = entry_of(key, &item, worker->scratch + MARGIN);
        if (how->takes_value || !stays)
            entry.len = entry.flags = 0;
        if (!stays)
            life = (struct life){ 1, true };
        else if (how->has_life)
            life = how->life;
        status = put(worker, key, entry.value, entry.len, entry.flags, how->marks_stale ? TAG_STALE : 0, life,
                     LARDER_PUT_IF_VERSION, &item.version);
        if (!has_changed_since(status))
            return status == LARDER_OK ? STORED : refusal(worker, status);
    }
}

/* ---- numbers, kept as text ---- */

#define NUMBER_LEN_MAX 64 /* with the spaces behind it */

struct delta {
    bool is_decrement, vivifies, has_life;
    uint64_t by, initial, cas;
    struct life life, vivify_life;
};

/* Numbers keep their length: a shorter one is followed by spaces. */
static size_t write_number(char *at, uint64_t number, size_t len_before)
{
    size_t len = (size_t)(put_u64(at, number) - at);
    for (; len < len_before; len++)
        at[len] = ' ';
    return len;
}

/* Writes the new number's text, its version and TTL into `out`, whose value has MARGIN bytes before it and
 * NUMBER_LEN_MAX behind. */
static enum answer add_delta(struct worker *worker, struct key key, const struct delta *delta, struct entry *out)
{
    for (;;) {
        larder_item item;
        struct life life = delta->has_life ? delta->life : (struct life){ LARDER_TTL_KEEP, false };
        uint64_t number;
        larder_status status = find(key, out->value, NUMBER_LEN_MAX, LARDER_PEEK, &item);
        if (status == LARDER_NOT_FOUND) {
            if (!delta->vivifies)
                return MISSING;
            out->len = write_number(out->value, delta->initial, 0);
            out->ttl_ms = delta->vivify_life.ttl_ms;
            enum answer added = add_value(worker, key, out->value, out->len, 0, 0, delta->vivify_life, &out->version);
            out->cas = cas_of(key, out->version);
            out->is_new = added == STORED;
            return added;
        }
        struct entry old = entry_of(key, &item, out->value);
        if (old.len > 0 && delta->cas != 0 && delta->cas != old.cas)
            return EXISTS;
        if (status == LARDER_BUFFER_TOO_SMALL || !read_u64(old.value, old.len, &number))
            return NOT_NUMERIC;
        if (!delta->is_decrement)
            number += delta->by;
        else
            number = delta->by > number ? 0 : number - delta->by;
        size_t len = write_number(old.value, number, old.len);
        uint32_t state = len == old.len ? old.tag & (TAG_STALE | TAG_WON | TAG_FETCHED) : 0; /* as memcached */
        status = put(worker, key, old.value, len, old.flags, state, life, LARDER_PUT_IF_VERSION, &old.version);
        if (status == LARDER_OK) {
            out->cas = cas_of(key, old.version);
            out->ttl_ms = old.ttl_ms;
            out->len = (size_t)(put_u64(out->value, number) - out->value);
            return STORED;
        }
        if (!has_changed_since(status))
            return refusal(worker, status);
    }
}

#endif
