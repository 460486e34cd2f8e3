/* near.h: a cache of larder in front of Redis: what was read is kept here until Redis says that it changed.
 *
 * - A get that misses takes a lease, asks Redis, and fills. An invalidation deletes the key, and with it the lease: a
 *   value that was read before the change is not stored after it. Others who miss meanwhile wait for the fill.
 * - A set goes to Redis, and the key is deleted here: the next get fetches. So does every other process's, once the
 *   invalidation has arrived.
 * - That Redis has no value for a key is kept as well.
 * - An item is fresh for ttl_ms at most, and only while the link that it was read through is up. Where Redis does not
 *   answer, it is served as stale: no longer than grace_ms after its TTL, and no longer than grace_ms after the loss.
 * - A link that is up again was down: changes were missed, so everything is cleared before it is used.
 *
 * # Layout of an item's value
 * | fetched_ms, 8 bytes | enum near_kind, 1 byte | Redis's value |
 */
#ifndef NEAR_H
#define NEAR_H

#include "redis_cluster.h"

#define NEAR_HEAD (sizeof(uint64_t) + 1)
#define NEAR_VALUE_MAX (1u << 20)
#define NEAR_KEY_MAX 255
#define WAIT_NS 5000000 /* the longest wait for another thread's fetch before the next look */

enum near_kind { NEAR_ABSENT, NEAR_VALUE, NEAR_RESTORED = 2 }; /* NEAR_RESTORED is a bit: put back after a failure */

enum near_answer { NEAR_HIT, NEAR_FETCHED, NEAR_STALE, NEAR_FAILED };

/* A thread's own: what its last get found. */
struct near_value {
    unsigned char bytes[NEAR_HEAD + NEAR_VALUE_MAX];
    size_t len;              /* with the head */
    bool may_be_kept;        /* after near_ask */
    char reason[REASON_MAX]; /* with NEAR_FAILED, and with NEAR_STALE */
};

struct near_counters {
    atomic_uint_fast64_t hits, fetches, stale, failed, invalidations, clears, refused;
};

/* Threads that wait for another one's fetch. */
struct near_waiters {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_uint count;
    atomic_uint_fast64_t ends; /* of fetches */
};

struct near {
    larder_cache *cache;
    struct redis_cluster redis;
    uint64_t ttl_ms, grace_ms, timeout_ms;
    struct near_counters counters;
    struct near_waiters waiters;
};

static inline bool value_is_absent(const struct near_value *value)
{
    return (value->bytes[NEAR_HEAD - 1] & NEAR_VALUE) == 0;
}

static inline const char *value_text(const struct near_value *value)
{
    return (const char *)value->bytes + NEAR_HEAD;
}

/* ---- what the links tell ---- */

/* Leases go with the items. */
static inline void near_clear(void *ctx)
{
    struct near *near = ctx;
    must(larder_cache_clear(near->cache), "larder_cache_clear");
    atomic_fetch_add(&near->counters.clears, 1);
}

static inline void near_on_invalidate(void *ctx, const char *key, size_t key_len)
{
    struct near *near = ctx;
    atomic_fetch_add(&near->counters.invalidations, 1);
    if (key == NULL)
        near_clear(near);
    else
        larder_cache_delete(near->cache, key, key_len);
}

static inline void near_on_up(void *ctx, struct redis_link *link)
{
    struct near *near = ctx;
    uint64_t items = larder_cache_item_count(near->cache);
    near_clear(near);
    fprintf(stderr, "near_cache: %s:%d is up; %" PRIu64 " items cleared\n", link->host, link->port, items);
}

static inline void near_on_down(void *ctx, struct redis_link *link)
{
    const struct near *near = ctx;
    char reason[REASON_MAX];
    link_reason(link, reason);
    if (!atomic_load(&link->stop))
        fprintf(stderr, "near_cache: %s:%d is lost: %s; what is cached is stale, and served for %" PRIu64 " ms\n",
                link->host, link->port, reason, near->grace_ms);
}

static inline void near_on_slots(void *ctx, struct redis_link *link, const redisReply *slots)
{
    struct near *near = ctx;
    cluster_take_slots(&near->redis, link, slots);
}

/* ---- reading ---- */

/* `reason` may be the value's own. */
static inline void note_reason(struct near_value *value, const char *reason)
{
    if (reason != value->reason)
        snprintf(value->reason, sizeof value->reason, "%s", reason);
}

static inline enum near_answer near_fail(struct near *near, struct near_value *value, const char *reason)
{
    atomic_fetch_add(&near->counters.failed, 1);
    note_reason(value, reason);
    return NEAR_FAILED;
}

static inline uint64_t value_age_ms(const struct near_value *value)
{
    uint64_t fetched_ms, now = ms_now();
    memcpy(&fetched_ms, value->bytes, sizeof fetched_ms);
    return now > fetched_ms ? now - fetched_ms : 0;
}

/* A value of which it is not known whether it is right is answered within its bounds, or not at all. */
static inline enum near_answer near_stale(struct near *near, struct near_value *value, const struct redis_link *link,
                                          const char *reason)
{
    bool is_down = atomic_load(&link->epoch) == 0;
    if (value_age_ms(value) > near->ttl_ms + near->grace_ms ||
        (is_down && ms_now() > atomic_load(&link->lost_ms) + near->grace_ms))
        return near_fail(near, value, reason);
    atomic_fetch_add(&near->counters.stale, 1);
    note_reason(value, reason);
    return NEAR_STALE;
}

/* Whether there is an item, and whether it is fresh. */
static inline bool near_look(struct near *near, const char *key, size_t key_len, struct near_value *value,
                             bool *is_fresh)
{
    larder_item item = LARDER_ITEM_INIT;
    larder_status status = larder_cache_get_item(near->cache, key, key_len, value->bytes, sizeof value->bytes,
                                                 LARDER_STALE_OK, &item);
    if (status != LARDER_OK)
        return false;
    value->len = item.value_len;
    *is_fresh = !item.is_stale && (value->bytes[NEAR_HEAD - 1] & NEAR_RESTORED) == 0;
    return true;
}

static inline const char *why_not(enum link_status status)
{
    switch (status) {
    case LINK_SLOW: return "Redis does not answer in time";
    case LINK_LOST: return "Redis was lost before it answered";
    case LINK_RESTS: return "Redis did not answer in time a moment ago";
    case LINK_FULL: return "too many requests wait for Redis";
    default: return "Redis is down";
    }
}

/* Asks Redis. NULL where there is a value in `value`; else why not, in `value->reason`. A value may be kept where the
 * node that tells of its changes is the key's owner, whose link near_get looks at. */
static inline const char *near_ask(struct near *near, const char *key, size_t key_len, struct near_value *value)
{
    const char *argv[] = { "GET", key };
    const size_t lens[] = { 3, key_len };
    uint64_t now = ms_now();
    redisReply *reply = NULL;
    bool was_asked;
    enum link_status status = cluster_call(&near->redis, 2, argv, lens, &reply, &was_asked);
    value->may_be_kept = !was_asked;
    if (status != LINK_OK)
        return why_not(status);
    const char *reason = NULL;
    if (reply->type == REDIS_REPLY_ERROR) {
        snprintf(value->reason, sizeof value->reason, "Redis says: %.120s", reply->str);
        reason = value->reason;
    } else if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_NIL) {
        reason = "Redis answers neither a value nor nil";
        link_distrust(link_of(&near->redis, key, key_len), reason);
    } else if (reply->len > NEAR_VALUE_MAX) {
        reason = "the value is longer than 1 MiB";
    } else {
        memcpy(value->bytes, &now, sizeof now);
        value->bytes[NEAR_HEAD - 1] = reply->type == REDIS_REPLY_STRING ? NEAR_VALUE : NEAR_ABSENT;
        memcpy(value->bytes + NEAR_HEAD, reply->str != NULL ? reply->str : "", reply->len);
        value->len = NEAR_HEAD + reply->len;
    }
    freeReplyObject(reply);
    return reason;
}

/* Keeps what was read under the lease; false where the key has changed since, the value does not fit, or may not be
 * kept: the lease is given up then. */
static inline bool near_fill(struct near *near, const char *key, size_t key_len, const larder_lease *lease,
                             const struct near_value *value)
{
    larder_status status = LARDER_INVALID;
    if (value->may_be_kept)
        status = larder_cache_fill(near->cache, lease, value->bytes, value->len, near->ttl_ms);
    if (status == LARDER_STALE)
        atomic_fetch_add(&near->counters.refused, 1);
    else if (status != LARDER_OK)
        larder_cache_delete(near->cache, key, key_len);
    return status == LARDER_OK;
}

/* Waits until a fetch has ended since there were `ends`, whichever it was; or for a moment, since a lease may be gone
 * without one. */
static inline void near_wait(struct near_waiters *waiters, uint64_t ends)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WAIT_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&waiters->lock);
    atomic_fetch_add(&waiters->count, 1);
    int waited = 0;
    while (atomic_load(&waiters->ends) == ends && waited == 0)
        waited = pthread_cond_timedwait(&waiters->changed, &waiters->lock, &until);
    atomic_fetch_sub(&waiters->count, 1);
    pthread_mutex_unlock(&waiters->lock);
}

static inline void near_tell_waiters(struct near_waiters *waiters)
{
    atomic_fetch_add(&waiters->ends, 1);
    if (atomic_load(&waiters->count) == 0)
        return;
    pthread_mutex_lock(&waiters->lock);
    pthread_cond_broadcast(&waiters->changed);
    pthread_mutex_unlock(&waiters->lock);
}

/* The lease is this thread's, or there is none (NULL), and nothing is kept. The lease took the place of a stale value,
 * which is put back where Redis does not answer: expired at once, so that its grace begins, and marked, so that its own
 * age is what counts. */
static inline enum near_answer near_fetch(struct near *near, const char *key, size_t key_len,
                                          const larder_lease *lease, bool has_stale, struct near_value *value)
{
    const char *reason = near_ask(near, key, key_len, value);
    if (reason == NULL) {
        if (lease != NULL)
            near_fill(near, key, key_len, lease, value);
        atomic_fetch_add(&near->counters.fetches, 1);
        return NEAR_FETCHED;
    }
    if (lease != NULL && has_stale) {
        value->bytes[NEAR_HEAD - 1] |= NEAR_RESTORED;
        has_stale = larder_cache_fill(near->cache, lease, value->bytes, value->len, 1) == LARDER_OK;
    } else if (lease != NULL) {
        larder_cache_delete(near->cache, key, key_len); /* gives the lease up: the next one may try */
    }
    if (has_stale)
        return near_stale(near, value, link_of(&near->redis, key, key_len), reason);
    return near_fail(near, value, reason);
}

/* A key's value: fresh from here, fetched from Redis, or stale where Redis does not answer. Keys have 1 to
 * NEAR_KEY_MAX bytes. Takes at most three timeouts, and two for each redirection. */
static inline enum near_answer near_get(struct near *near, const char *key, size_t key_len, struct near_value *value)
{
    uint64_t until = ms_now() + 2 * near->timeout_ms;
    for (;;) {
        uint64_t ends = atomic_load(&near->waiters.ends);
        const struct redis_link *link = link_of(&near->redis, key, key_len);
        uint64_t epoch = atomic_load(&link->epoch);
        bool is_fresh = false, is_there = near_look(near, key, key_len, value, &is_fresh);
        if (is_there && is_fresh && epoch != 0 && epoch == atomic_load(&link->epoch)) {
            atomic_fetch_add(&near->counters.hits, 1);
            return NEAR_HIT;
        }
        enum link_status state = link_state(link);
        if (state != LINK_OK)
            return is_there ? near_stale(near, value, link, why_not(state)) : near_fail(near, value, why_not(state));
        larder_lease lease;
        larder_status status = larder_cache_lease(near->cache, key, key_len, 4 * near->timeout_ms, &lease);
        if (status != LARDER_BUSY && status != LARDER_EXISTS) { /* without a lease where there is no room for one */
            enum near_answer answer =
                near_fetch(near, key, key_len, status == LARDER_OK ? &lease : NULL, is_there, value);
            near_tell_waiters(&near->waiters);
            return answer;
        }
        if (ms_now() >= until)
            return near_fail(near, value, "another thread fetches it, and has no answer");
        near_wait(&near->waiters, ends);
    }
}

/* ---- writing ---- */

/* Sends SET or DEL to Redis, and forgets the key here, whatever the answer: without one it is not known whether Redis
 * has done it. NULL where it has; else why not, in `reason` or constant. */
static inline const char *near_write(struct near *near, int argc, const char **argv, const size_t *lens, char *reason)
{
    redisReply *reply = NULL;
    bool was_asked;
    enum link_status status = cluster_call(&near->redis, argc, argv, lens, &reply, &was_asked);
    bool was_sent = status == LINK_OK || status == LINK_SLOW || status == LINK_LOST;
    if (was_sent)
        larder_cache_delete(near->cache, argv[1], lens[1]);
    if (status != LINK_OK)
        return why_not(status);
    bool is_error = reply->type == REDIS_REPLY_ERROR;
    if (is_error)
        snprintf(reason, REASON_MAX, "Redis says: %.120s", reply->str);
    freeReplyObject(reply);
    return is_error ? reason : NULL;
}

static inline const char *near_set(struct near *near, const char *key, size_t key_len, const char *text, size_t len,
                                   char *reason)
{
    return near_write(near, 3, (const char *[]){ "SET", key, text }, (const size_t[]){ 3, key_len, len }, reason);
}

static inline const char *near_delete(struct near *near, const char *key, size_t key_len, char *reason)
{
    return near_write(near, 2, (const char *[]){ "DEL", key }, (const size_t[]){ 3, key_len }, reason);
}

/* ---- life ---- */

/* `region` is the cache's; times and Redis's address are in `near` already, or given. */
static inline void near_start(struct near *near, void *region, size_t size, const char *host, int port)
{
    static const struct link_events none;
    struct link_events events = none;
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    pthread_mutex_init(&near->waiters.lock, NULL);
    cond_init(&near->waiters.changed);
    config.grace_ms = near->grace_ms;
    config.shards = size >= (32u << 20) ? 8 : 1;
    must(larder_cache_init(region, size, &config, &near->cache), "larder_cache_init");
    events.ctx = near;
    events.on_invalidate = near_on_invalidate;
    events.on_up = near_on_up;
    events.on_down = near_on_down;
    events.on_slots = near_on_slots;
    cluster_start(&near->redis, host, port, near->timeout_ms, &events, near_clear);
}

static inline void near_stop(struct near *near)
{
    cluster_stop(&near->redis);
    pthread_cond_destroy(&near->waiters.changed);
    pthread_mutex_destroy(&near->waiters.lock);
}

#endif
