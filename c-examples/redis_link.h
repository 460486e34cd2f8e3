/* redis_link.h: one connection to one Redis server, shared by all threads of a program, which Redis tells of every key
 * that was read through it and has changed since (RESP3, CLIENT TRACKING).
 *
 * Threads append their commands to the connection, and wait for their answers for a limited time. The link's own thread
 * reads: answers belong to the requests in the order in which they were sent; invalidations come between them. An
 * answer that is late is read and thrown away, so the stream stays in step. The link's thread also connects, beats
 * while nothing else is asked, gives up a server that is silent, and connects again.
 *
 * Replies and invalidations have one connection, and one loss: where it is lost, so is the knowledge of what changed.
 * `on_up` runs after a connection is made and before it is used: that is where a cache is cleared. */
#ifndef REDIS_LINK_H
#define REDIS_LINK_H

#include "example.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <unistd.h>

#define HOST_MAX 256
#define REASON_MAX 160
#define NODE_ID_MAX 48
#define REQUESTS_MAX 4096          /* of one link, unanswered: a server that hangs cannot make the program grow */
#define REPLY_SIZE_MAX (4u << 20)  /* more than that is not an answer to what is asked here */
#define REPLY_ELEMENTS_MAX 65536
#define BEAT_TIMEOUTS 5            /* timeouts between two beats */
#define SILENCE_TIMEOUTS 10        /* timeouts without an answer: the server is lost */
#define REST_MS_MAX 1000           /* the longest pause between two attempts to connect */

struct redis_link;

/* What the owner of a link does when something happens; called in the link's thread. */
struct link_events {
    void *ctx;
    void (*on_invalidate)(void *ctx, const char *key, size_t key_len); /* NULL: every key */
    void (*on_up)(void *ctx, struct redis_link *link);
    void (*on_down)(void *ctx, struct redis_link *link);
    void (*on_slots)(void *ctx, struct redis_link *link, const redisReply *slots);
};

/* Sent and answered; sent, and not answered in time or before a loss; not sent. */
enum link_status { LINK_OK, LINK_SLOW, LINK_LOST, LINK_DOWN, LINK_RESTS, LINK_FULL };

enum request_kind { REQUEST_OF_THREAD, REQUEST_BEAT, REQUEST_SLOTS, REQUEST_IGNORED };

struct redis_request {
    struct redis_request *next;
    enum request_kind kind;
    uint64_t sent_ms, beat; /* the number of a beat, which is its answer */
    redisReply *reply; /* NULL: none yet, or the connection was lost */
    bool is_done;
    pthread_cond_t done;
};

struct redis_link {
    char host[HOST_MAX], id[NODE_ID_MAX];
    int port;
    uint64_t timeout_ms;
    struct link_events events;
    pthread_t thread;
    atomic_bool stop, is_sharded;
    atomic_uint_fast64_t epoch;   /* of this connection, never used twice; 0 = down */
    atomic_uint_fast64_t lost_ms; /* when it went down */
    atomic_uint_fast64_t rest_until_ms; /* after a timeout nothing is sent until then, or until an answer arrives */
    int wake[2];                  /* a pipe: ends the wait of the link's thread */
    pthread_mutex_t lock;         /* of all below */
    redisContext *redis;          /* NULL = down */
    struct redis_request *first, *last;
    unsigned waiting;
    uint64_t beats, beat_ms;         /* beats that were sent; when the last one was */
    char reason[REASON_MAX];         /* why it is down, or about to be */
};

static inline uint64_t ms_now(void)
{
    return (uint64_t)(seconds_now() * 1e3);
}

/* ---- requests ---- */

/* Its deadlines are by the clock of ms_now. */
static inline void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

static inline struct redis_request *request_new(enum request_kind kind)
{
    struct redis_request *request = calloc(1, sizeof *request);
    require(request != NULL, "there is memory for a request");
    cond_init(&request->done);
    request->kind = kind;
    request->sent_ms = ms_now();
    return request;
}

static inline void request_free(struct redis_request *request)
{
    freeReplyObject(request->reply);
    pthread_cond_destroy(&request->done);
    free(request);
}

static inline void link_wake(struct redis_link *link)
{
    while (write(link->wake[1], "", 1) < 0 && errno == EINTR) {
    }
}

/* Appends a command and its request. The lock is held, and the link is up. */
static inline struct redis_request *link_append(struct redis_link *link, enum request_kind kind, int argc,
                                                const char **argv, const size_t *lens)
{
    struct redis_request *request = request_new(kind);
    require(redisAppendCommandArgv(link->redis, argc, argv, lens) == REDIS_OK, "there is memory for a command");
    if (link->last != NULL)
        link->last->next = request;
    else
        link->first = request;
    link->last = request;
    link->waiting++;
    return request;
}

/* Takes the oldest request out. */
static inline struct redis_request *link_shift(struct redis_link *link)
{
    struct redis_request *request = link->first;
    link->first = request->next;
    if (link->first == NULL)
        link->last = NULL;
    link->waiting--;
    return request;
}

/* Waits until the request is done or its time is over; the link's thread frees what is waited for no longer. */
static inline enum link_status link_wait(struct redis_link *link, struct redis_request *request, redisReply **out)
{
    uint64_t until = request->sent_ms + link->timeout_ms;
    struct timespec deadline = { .tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000 };
    int waited = 0;
    while (!request->is_done && waited == 0)
        waited = pthread_cond_timedwait(&request->done, &link->lock, &deadline);
    if (!request->is_done) {
        request->kind = REQUEST_IGNORED;
        atomic_store(&link->rest_until_ms, ms_now() + link->timeout_ms);
        return LINK_SLOW;
    }
    *out = request->reply;
    request->reply = NULL;
    request_free(request);
    return *out != NULL ? LINK_OK : LINK_LOST;
}

/* Whether it is worth asking now. */
static inline enum link_status link_state(const struct redis_link *link)
{
    if (atomic_load(&link->epoch) == 0)
        return LINK_DOWN;
    return ms_now() < atomic_load(&link->rest_until_ms) ? LINK_RESTS : LINK_OK;
}

/* Sends a command, and waits for its answer for timeout_ms. With `asking` it is the second half of an ASK. The caller
 * frees `*out`, which is written with LINK_OK alone. */
static inline enum link_status link_call(struct redis_link *link, bool asking, int argc, const char **argv,
                                         const size_t *lens, redisReply **out)
{
    pthread_mutex_lock(&link->lock);
    enum link_status status = link_state(link);
    if (link->redis == NULL || link->redis->err != 0)
        status = LINK_DOWN;
    else if (link->waiting >= REQUESTS_MAX)
        status = LINK_FULL;
    if (status == LINK_OK) {
        int written = 0;
        if (asking)
            link_append(link, REQUEST_IGNORED, 1, (const char *[]){ "ASKING" }, (const size_t[]){ 6 });
        struct redis_request *request = link_append(link, REQUEST_OF_THREAD, argc, argv, lens);
        if (redisBufferWrite(link->redis, &written) != REDIS_OK || !written)
            link_wake(link);
        status = link_wait(link, request, out);
    }
    pthread_mutex_unlock(&link->lock);
    return status;
}

/* Why the link is down, for people. */
static inline void link_reason(struct redis_link *link, char *text)
{
    pthread_mutex_lock(&link->lock);
    memcpy(text, link->reason, REASON_MAX);
    pthread_mutex_unlock(&link->lock);
}

/* What the server answered makes no sense, so nothing of this connection is believed any more. */
static inline void link_distrust(struct redis_link *link, const char *why)
{
    pthread_mutex_lock(&link->lock);
    if (link->redis != NULL && link->redis->err == 0) {
        link->redis->err = REDIS_ERR_PROTOCOL;
        snprintf(link->redis->errstr, sizeof link->redis->errstr, "%s", why);
    }
    pthread_mutex_unlock(&link->lock);
    link_wake(link);
}

/* ---- connecting ---- */

/* A command of the handshake; NULL, with the reason noted, where it is refused or not answered. */
static inline redisReply *link_greet(struct redis_link *link, redisContext *redis, const char *command)
{
    redisReply *reply = redisCommand(redis, command);
    if (reply != NULL && reply->type != REDIS_REPLY_ERROR)
        return reply;
    pthread_mutex_lock(&link->lock);
    snprintf(link->reason, REASON_MAX, "%s: %.120s", command, reply != NULL ? reply->str : redis->errstr);
    pthread_mutex_unlock(&link->lock);
    freeReplyObject(reply);
    return NULL;
}

/* HELLO answers a map; its field `mode` says whether the server is part of a cluster. */
static inline bool hello_says_cluster(const redisReply *hello)
{
    for (size_t i = 0; i + 1 < hello->elements; i += 2) {
        const redisReply *name = hello->element[i], *value = hello->element[i + 1];
        if (name->str != NULL && value->str != NULL && strcmp(name->str, "mode") == 0)
            return strcmp(value->str, "cluster") == 0;
    }
    return false;
}

static inline bool link_handshake(struct redis_link *link, redisContext *redis)
{
    bool is_sharded;
    redisReply *reply = link_greet(link, redis, "HELLO 3");
    if (reply == NULL)
        return false;
    is_sharded = hello_says_cluster(reply);
    freeReplyObject(reply);
    /* Without NOLOOP: keys read by any thread are tracked for the one connection that all threads write through, too.
     * A write that did not invalidate would also end the tracking of its key. */
    if ((reply = link_greet(link, redis, "CLIENT TRACKING ON")) == NULL)
        return false;
    freeReplyObject(reply);
    if (is_sharded) {
        if ((reply = link_greet(link, redis, "CLUSTER MYID")) == NULL)
            return false;
        snprintf(link->id, sizeof link->id, "%s", reply->str != NULL ? reply->str : "");
        freeReplyObject(reply);
        if ((reply = link_greet(link, redis, "CLUSTER SLOTS")) == NULL)
            return false;
        link->events.on_slots(link->events.ctx, link, reply);
        freeReplyObject(reply);
    }
    atomic_store(&link->is_sharded, is_sharded);
    return true;
}

/* A connection after its handshake; NULL, with the reason noted, where there is none. */
static inline redisContext *link_open(struct redis_link *link)
{
    struct timeval limit = { .tv_sec = (time_t)(link->timeout_ms / 1000),
                             .tv_usec = (suseconds_t)(link->timeout_ms % 1000) * 1000 };
    redisContext *redis = redisConnectWithTimeout(link->host, link->port, limit);
    require(redis != NULL, "there is memory for a connection");
    redis->reader->maxelements = REPLY_ELEMENTS_MAX;
    if (redis->err != 0) {
        pthread_mutex_lock(&link->lock);
        snprintf(link->reason, REASON_MAX, "%s", redis->errstr);
        pthread_mutex_unlock(&link->lock);
    } else if (redisSetTimeout(redis, limit) == REDIS_OK && link_handshake(link, redis)) {
        int flags = fcntl(redis->fd, F_GETFL);
        require(flags >= 0 && fcntl(redis->fd, F_SETFL, flags | O_NONBLOCK) == 0, "a socket can be non-blocking");
        redis->flags &= ~REDIS_BLOCK;
        return redis;
    }
    redisFree(redis);
    return NULL;
}

/* ---- the link's thread ---- */

static inline void link_up(struct redis_link *link, redisContext *redis)
{
    static atomic_uint_fast64_t epochs;
    link->events.on_up(link->events.ctx, link);
    pthread_mutex_lock(&link->lock);
    link->redis = redis;
    atomic_store(&link->rest_until_ms, 0);
    link->beat_ms = ms_now();
    pthread_mutex_unlock(&link->lock);
    atomic_store(&link->epoch, atomic_fetch_add(&epochs, 1) + 1);
}

/* From here on nothing is fresh. Threads that wait have their answer: none. */
static inline void link_down(struct redis_link *link)
{
    atomic_store(&link->lost_ms, ms_now());
    atomic_store(&link->epoch, 0);
    pthread_mutex_lock(&link->lock);
    snprintf(link->reason, REASON_MAX, "%s", link->redis->errstr);
    redisFree(link->redis);
    link->redis = NULL;
    while (link->first != NULL) {
        struct redis_request *request = link_shift(link);
        request->is_done = true;
        if (request->kind == REQUEST_OF_THREAD)
            pthread_cond_signal(&request->done);
        else
            request_free(request);
    }
    pthread_mutex_unlock(&link->lock);
    link->events.on_down(link->events.ctx, link);
}

/* "invalidate" and an array of keys, or nil for all of them. */
static inline void link_push(struct redis_link *link, const redisReply *push)
{
    const redisReply *name = push->elements == 2 ? push->element[0] : NULL;
    if (name == NULL || name->str == NULL || strcmp(name->str, "invalidate") != 0)
        return;
    const redisReply *keys = push->element[1];
    if (keys->type == REDIS_REPLY_NIL)
        link->events.on_invalidate(link->events.ctx, NULL, 0);
    for (size_t i = 0; i < keys->elements; i++) {
        if (keys->element[i]->str != NULL)
            link->events.on_invalidate(link->events.ctx, keys->element[i]->str, keys->element[i]->len);
    }
}

static inline bool link_fail(struct redis_link *link, const char *why)
{
    link->redis->err = REDIS_ERR_PROTOCOL;
    snprintf(link->redis->errstr, sizeof link->redis->errstr, "%s", why);
    return false;
}

/* Hands an answer to the oldest request. False where a beat has another one's: no answer is its request's then. */
static inline bool link_answer(struct redis_link *link, redisReply *reply)
{
    struct redis_request *request = link_shift(link);
    bool is_in_step = true;
    request->reply = reply;
    request->is_done = true;
    atomic_store(&link->rest_until_ms, 0);
    switch (request->kind) {
    case REQUEST_OF_THREAD:
        pthread_cond_signal(&request->done);
        return true;
    case REQUEST_BEAT:
        is_in_step = reply->type == REDIS_REPLY_ERROR || /* it is loading */
                     (reply->type == REDIS_REPLY_STRING && strtoull(reply->str, NULL, 10) == request->beat);
        break;
    case REQUEST_SLOTS:
        link->events.on_slots(link->events.ctx, link, reply);
        break;
    case REQUEST_IGNORED: break;
    }
    request_free(request);
    return is_in_step || link_fail(link, "answers are out of step");
}

/* Takes everything out of the reader's buffer: an invalidation behind an answer is in the buffer, and no poll would
 * tell of it. */
static inline bool link_drain(struct redis_link *link)
{
    for (;;) {
        void *found = NULL;
        if (redisGetReplyFromReader(link->redis, &found) != REDIS_OK)
            return false;
        redisReply *reply = found;
        if (reply == NULL)
            break;
        if (reply->type == REDIS_REPLY_PUSH) {
            link_push(link, reply);
            freeReplyObject(reply);
        } else if (link->first != NULL) {
            if (!link_answer(link, reply))
                return false;
        } else {
            freeReplyObject(reply);
            return link_fail(link, "an answer that was not asked for");
        }
    }
    return link->redis->reader->len <= REPLY_SIZE_MAX || link_fail(link, "an answer without an end");
}

/* Asks something after a while, so that a server that is lost is noticed. A cluster is asked where its slots are. */
static inline bool link_beat(struct redis_link *link)
{
    uint64_t now = ms_now();
    if (link->first != NULL && now > link->first->sent_ms + SILENCE_TIMEOUTS * link->timeout_ms)
        return link_fail(link, "no answer");
    if (now < link->beat_ms + BEAT_TIMEOUTS * link->timeout_ms || link->waiting >= REQUESTS_MAX)
        return true;
    char number[24];
    size_t len = (size_t)snprintf(number, sizeof number, "%" PRIu64, ++link->beats);
    link->beat_ms = now;
    link_append(link, REQUEST_BEAT, 2, (const char *[]){ "PING", number }, (const size_t[]){ 4, len })->beat =
        link->beats;
    if (atomic_load(&link->is_sharded))
        link_append(link, REQUEST_SLOTS, 2, (const char *[]){ "CLUSTER", "SLOTS" }, (const size_t[]){ 7, 5 });
    return true;
}

/* One round: what is buffered, what is due, then what arrives. False where the connection is lost. */
static inline bool link_round(struct redis_link *link)
{
    int written = 0;
    char bytes[64];
    pthread_mutex_lock(&link->lock);
    bool is_good = link->redis->err == 0 && link_drain(link) && link_beat(link) &&
                   redisBufferWrite(link->redis, &written) == REDIS_OK;
    pthread_mutex_unlock(&link->lock);
    if (!is_good)
        return false;
    struct pollfd fds[] = { { .fd = link->redis->fd, .events = (short)(written ? POLLIN : POLLIN | POLLOUT) },
                            { .fd = link->wake[0], .events = POLLIN } };
    if (poll(fds, 2, (int)link->timeout_ms) < 0)
        return errno == EINTR;
    if (fds[1].revents != 0 && read(link->wake[0], bytes, sizeof bytes) < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    if ((fds[0].revents & ~POLLOUT) == 0)
        return true;
    pthread_mutex_lock(&link->lock);
    is_good = redisBufferRead(link->redis) == REDIS_OK;
    pthread_mutex_unlock(&link->lock);
    return is_good;
}

static inline void *link_run(void *ctx)
{
    struct redis_link *link = ctx;
    uint64_t rest_ms = 1;
    while (!atomic_load(&link->stop)) {
        redisContext *redis = link_open(link);
        if (redis != NULL) {
            link_up(link, redis);
            while (!atomic_load(&link->stop) && link_round(link))
                rest_ms = 1;
            link_down(link);
        }
        struct pollfd wake = { .fd = link->wake[0], .events = POLLIN };
        char bytes[64];
        if (!atomic_load(&link->stop) && poll(&wake, 1, (int)rest_ms) > 0 && read(wake.fd, bytes, sizeof bytes) < 0)
            rest_ms = REST_MS_MAX;
        rest_ms = rest_ms * 2 < REST_MS_MAX ? rest_ms * 2 : REST_MS_MAX;
    }
    return NULL;
}

static inline struct redis_link *link_start(const char *host, int port, uint64_t timeout_ms,
                                            const struct link_events *events)
{
    struct redis_link *link = calloc(1, sizeof *link);
    require(link != NULL, "there is memory for a link");
    snprintf(link->host, sizeof link->host, "%s", host);
    link->port = port;
    link->timeout_ms = timeout_ms;
    link->events = *events;
    atomic_store(&link->lost_ms, ms_now());
    snprintf(link->reason, REASON_MAX, "not connected yet");
    require(pipe(link->wake) == 0 && fcntl(link->wake[0], F_SETFL, O_NONBLOCK) == 0 &&
                fcntl(link->wake[1], F_SETFL, O_NONBLOCK) == 0, "a pipe");
    pthread_mutex_init(&link->lock, NULL);
    require(pthread_create(&link->thread, NULL, link_run, link) == 0, "a thread starts");
    return link;
}

static inline void link_stop(struct redis_link *link)
{
    atomic_store(&link->stop, true);
    link_wake(link);
    pthread_join(link->thread, NULL);
}

/* It was stopped. */
static inline void link_free(struct redis_link *link)
{
    pthread_mutex_destroy(&link->lock);
    close(link->wake[0]);
    close(link->wake[1]);
    free(link);
}

#endif
