/* server.h: what the server consists of: settings, workers, connections and their buffers. All memory is one region,
 * taken at the start and cut by an arena:
 *
 *    | cache: -m | spool: values on their way that do not fit a buffer | workers | connections | their buffers |
 *
 * Nothing is allocated later. */
#ifndef MEMCACHED_SERVER_H
#define MEMCACHED_SERVER_H

#include "words.h"

#include <larder.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IN_SIZE 16384
#define OUT_SIZE 32768
#define LINE_MAX_BYTES 2048 /* but for keys of get, gets, gat and gats, as many as there are */
#define REPLY_MAX 1024      /* the longest answer to a command, its value aside */
#define THREADS_MAX 64
#define SERVER_VERSION "1.6.18-larder"

/* Of a connection in the middle of a command: seconds, and bytes a second for what a long value takes. */
#define STALL_MS 60000
#define STALL_RATE_PER_MS 64
/* The same while other connections find no room in the spool. */
#define PRESSED_MS 2000
#define PRESSED_RATE_PER_MS 1024

struct settings {
    const char *listen, *socket_path, *user;
    uint64_t port, memory, threads, connections, item_size_max, backlog, idle_seconds, hashpower;
    bool no_evict, no_flush, has_item_size_max, has_debug_time;
    _Atomic uint32_t verbosity;
};

/* One column for each command that is counted; a worker counts its own. */
#define COUNTERS(X) \
    X(cmd_get) X(cmd_set) X(cmd_flush) X(cmd_touch) X(cmd_meta) X(get_hits) X(get_misses) X(delete_misses) \
    X(delete_hits) X(incr_misses) X(incr_hits) X(decr_misses) X(decr_hits) X(cas_misses) X(cas_hits) X(cas_badval) \
    X(touch_hits) X(touch_misses) X(store_too_large) X(store_no_memory) X(idle_kicks) X(bytes_read) \
    X(bytes_written) X(conn_yields) X(total_items) X(read_buf_oom)

enum counter {
#define X(name) COUNT_##name,
    COUNTERS(X)
#undef X
    COUNTER_MAX
};

struct worker {
    pthread_t thread;
    int epoll;
    uint64_t swept_ms;
    char *scratch; /* a whole value, while it is changed */
    _Atomic uint64_t counters[COUNTER_MAX];
};

/* A value that is to be stored once its bytes are there. */
enum store_mode { STORE_SET, STORE_ADD, STORE_REPLACE, STORE_APPEND, STORE_PREPEND, STORE_CAS };

struct request {
    enum store_mode mode;
    bool is_meta, is_quiet, invalidate, has_binary_key;
    uint32_t flags;
    int32_t expiry;
    uint64_t cas, value_len;
    size_t key_len;
    char key[KEY_LEN_MAX];
    uint8_t echo_count, opaque_len;
    char echo[WORDS_MAX], opaque[33]; /* flags of a meta command that the answer repeats */
};

enum conn_state {
    READ_LINE,    /* a command */
    READ_KEYS,    /* the keys of a get, one after another */
    READ_VALUE,   /* the bytes that `request` waits for */
    SKIP_BYTES,   /* a value that will not be stored */
    SKIP_LINE,    /* the rest of a line that is wrong */
};

struct conn {
    _Atomic(struct worker *) owner; /* NULL: free */
    struct conn *next_free;
    int fd;
    enum conn_state state;
    bool is_closing, waits_to_write, has_block, with_cas, with_touch;
    int32_t touch_expiry;
    uint64_t skip, used_ms, busy_since_ms;
    char *in, *out;
    size_t in_start, in_end, out_start, out_end;
    struct larder_block block; /* a long value: on its way in, or behind `out` on its way out */
    size_t block_start, block_end;
    bool block_is_output;
    struct request request;
};

static struct server {
    struct settings settings;
    larder_cache *cache;
    larder_pool *spool;
    struct worker *workers;
    struct conn *conns;
    int listener;
    time_t started;
    pthread_mutex_t free_lock;
    struct conn *free_conn;
    _Atomic uint64_t now_ms, flush_at_ms, spool_short_ms, skipped_ms, conns_now, conns_total, conns_rejected;
    _Atomic uint64_t baseline[COUNTER_MAX], evictions_baseline; /* stats reset */
    _Atomic int stopping;
} server = { .free_lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- time ---- */

static inline uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Looked at once for each batch of events. It never goes back, whichever worker looks. */
static inline void renew_clock(void)
{
    uint64_t now = clock_ms(CLOCK_MONOTONIC) + atomic_load_explicit(&server.skipped_ms, memory_order_relaxed);
    uint64_t seen = atomic_load_explicit(&server.now_ms, memory_order_relaxed);
    bool is_done = now <= seen;
    while (!is_done)
        is_done = atomic_compare_exchange_weak(&server.now_ms, &seen, now) || now <= seen;
}

static inline uint64_t now_ms(void)
{
    return atomic_load_explicit(&server.now_ms, memory_order_relaxed);
}

/* ---- counters ---- */

static inline void count_more(struct worker *worker, enum counter which, uint64_t more)
{
    _Atomic uint64_t *counter = &worker->counters[which];
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

#define COUNT(worker, name) count_more(worker, COUNT_##name, 1)

static inline uint64_t counted_ever(enum counter which)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < server.settings.threads; i++)
        sum += atomic_load_explicit(&server.workers[i].counters[which], memory_order_relaxed);
    return sum;
}

static inline uint64_t counted(enum counter which)
{
    return counted_ever(which) - atomic_load_explicit(&server.baseline[which], memory_order_relaxed);
}

/* ---- the spool ---- */

/* Blocks for values that fit no buffer. Where there is none, those who have one must hurry: see is_overdue. */
static inline bool take_block(struct worker *worker, struct conn *conn, size_t size)
{
    if (larder_pool_alloc(server.spool, size, &conn->block) != LARDER_OK) {
        atomic_store_explicit(&server.spool_short_ms, now_ms(), memory_order_relaxed);
        COUNT(worker, read_buf_oom);
        return false;
    }
    conn->has_block = true;
    conn->block_start = conn->block_end = 0;
    return true;
}

static inline void give_block_back(struct conn *conn)
{
    if (conn->has_block)
        larder_block_release(&conn->block);
    conn->has_block = conn->block_is_output = false;
}

/* ---- output ---- */

static inline bool has_output(const struct conn *conn)
{
    return conn->out_start < conn->out_end || (conn->has_block && conn->block_is_output);
}

/* Writes what can be written now; false where some is left. A connection that is gone has nothing left. */
static bool flush_output(struct worker *worker, struct conn *conn)
{
    while (has_output(conn)) {
        bool has_more = conn->has_block && conn->block_is_output, is_block = conn->out_start == conn->out_end;
        const char *at = is_block ? (char *)conn->block.data + conn->block_start : conn->out + conn->out_start;
        size_t len = is_block ? conn->block_end - conn->block_start : conn->out_end - conn->out_start;
        ssize_t written = send(conn->fd, at, len, MSG_NOSIGNAL | (has_more && !is_block ? MSG_MORE : 0));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return false;
        if (written < 0) {
            conn->is_closing = true;
            conn->out_start = conn->out_end = 0;
            give_block_back(conn);
            return true;
        }
        count_more(worker, COUNT_bytes_written, (uint64_t)written);
        if (is_block)
            conn->block_start += (size_t)written;
        else
            conn->out_start += (size_t)written;
        if (has_more && conn->block_start == conn->block_end)
            give_block_back(conn);
    }
    conn->out_start = conn->out_end = 0;
    return true;
}

/* Whether there is room for an answer; where there is none, the command is run again once the output is written. */
static inline bool has_room(const struct conn *conn, size_t size)
{
    return !(conn->has_block && conn->block_is_output) && OUT_SIZE - conn->out_end >= size;
}

/* The caller knows that there is room. */
static inline void reply(struct conn *conn, bool is_quiet, const char *text)
{
    if (is_quiet)
        return;
    char *at = put_text(conn->out + conn->out_end, text);
    at = put_bytes(at, "\r\n", 2);
    conn->out_end = (size_t)(at - conn->out);
}

#endif
