/* serve.h: a connection's life: bytes in, commands, bytes out; and the worker that serves many of them. A connection
 * that has an answer to be read is not read from. */
#ifndef MEMCACHED_SERVE_H
#define MEMCACHED_SERVE_H

#include "meta.h"

#define EVENTS_MAX 64
#define SWEEP_MS 250
#define TURNS_MAX 8 /* full outputs, or long values, before others are served */

/* ---- commands ---- */

static void run_line(struct worker *worker, struct conn *conn, const struct words *words)
{
    const struct word *verb = &words->word[0];
    static const struct {
        const char *name;
        enum store_mode mode;
    } stores[] = { { "set", STORE_SET }, { "add", STORE_ADD }, { "replace", STORE_REPLACE },
                   { "append", STORE_APPEND }, { "prepend", STORE_PREPEND }, { "cas", STORE_CAS } };
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
        if (word_is(verb, stores[i].name)) {
            start_store(worker, conn, words, stores[i].mode);
            return;
        }
    }
    if (word_is(verb, "delete"))
        run_delete(worker, conn, words);
    else if (word_is(verb, "touch"))
        run_touch(worker, conn, words);
    else if (word_is(verb, "incr") || word_is(verb, "decr"))
        run_delta(worker, conn, words);
    else if (word_is(verb, "stats"))
        run_stats(conn, words);
    else if (word_is(verb, "flush_all"))
        run_flush(worker, conn, words);
    else if (word_is(verb, "verbosity"))
        run_verbosity(conn, words);
    else if (word_is(verb, "version"))
        reply(conn, false, "VERSION " SERVER_VERSION);
    else if (word_is(verb, "debugtime") && server.settings.has_debug_time)
        run_debugtime(conn, words);
    else if (word_is(verb, "quit") || strncmp(words->word[words->count - 1].at, "HTTP/", 5) == 0)
        conn->is_closing = true;
    else
        reply(conn, false, "ERROR");
}

/* False where there is no room: the command is run again then. */
static bool run_meta(struct worker *worker, struct conn *conn, const struct words *words)
{
    char letter = words->word[0].at[1];
    if (letter == 'n') {
        reply(conn, false, "MN");
    } else if (words->count < 2 || strchr("gsdae", letter) == NULL) {
        reply(conn, false, letter == 'e' ? BAD_FORMAT : "ERROR");
    } else if (letter == 'g') {
        return run_mg(worker, conn, words);
    } else if (letter == 's') {
        start_ms(worker, conn, words);
    } else if (letter == 'd') {
        run_md(worker, conn, words);
    } else if (letter == 'a') {
        run_ma(worker, conn, words);
    } else {
        run_me(worker, conn, words);
    }
    return true;
}

static bool is_get(const struct word *word)
{
    return word_is(word, "get") || word_is(word, "gets") || word_is(word, "gat") || word_is(word, "gats");
}

/* A line that is longer than any: a get's keys may be, what else starts so is not the protocol. The time of a gat has
 * to be there as a whole. */
static void start_long_line(struct conn *conn, char *line, size_t len)
{
    struct words words;
    split_words(line, len, &words);
    bool has_time = words.count > 2 && words.word[0].at[1] == 'a';
    bool has_no_time = words.count > 1 && words.word[0].at[1] == 'e';
    if (words.count > 0 && is_get(&words.word[0]) && (has_time || has_no_time)) {
        start_get(conn, &words.word[0], words.word[0].at + words.word[0].len, line + len, NULL);
    } else {
        reply(conn, false, "CLIENT_ERROR line too long");
        conn->is_closing = true;
    }
}

static bool step_line(struct worker *worker, struct conn *conn)
{
    char *line = conn->in + conn->in_start;
    size_t available = conn->in_end - conn->in_start;
    char *end = memchr(line, '\n', available);
    if ((end == NULL && available <= LINE_MAX_BYTES) || !has_room(conn, REPLY_MAX))
        return false;
    if (end == NULL) {
        start_long_line(conn, line, available);
        return true;
    }
    size_t after = (size_t)(end + 1 - conn->in);
    if (end > line && end[-1] == '\r')
        end--;
    if (atomic_load_explicit(&server.settings.verbosity, memory_order_relaxed) > 1)
        fprintf(stderr, "<%d %.*s\n", conn->fd, (int)(end - line), line);
    struct words words;
    split_words(line, (size_t)(end - line), &words);
    if (words.count > 0 && is_get(&words.word[0])) {
        conn->in_start = after;
        start_get(conn, &words.word[0], words.word[0].at + words.word[0].len, end, end + 1);
        return true;
    }
    if (words.count == 0 || words.word[0].len < 2) {
        reply(conn, false, "ERROR");
    } else if (words.word[0].len == 2 && words.word[0].at[0] == 'm') {
        if (!run_meta(worker, conn, &words))
            return false;
    } else {
        if (word_is(&words.word[0], "stats") && !has_room(conn, OUT_SIZE))
            return false;
        run_line(worker, conn, &words);
    }
    conn->in_start = after;
    return true;
}

/* ---- values and what is skipped ---- */

/* The request's value: where it has come whole, or in a block where it fits no buffer. */
static bool step_value(struct worker *worker, struct conn *conn)
{
    size_t need = (size_t)conn->request.value_len + 2, available = conn->in_end - conn->in_start;
    if (!has_room(conn, REPLY_MAX))
        return false;
    if (!conn->has_block && available >= need) {
        finish_store(worker, conn, conn->in + conn->in_start);
        conn->in_start += need;
        return true;
    }
    if (!conn->has_block && need <= IN_SIZE)
        return false;
    if (!conn->has_block) {
        if (!take_block(worker, conn, MARGIN + need)) {
            refuse_value(worker, conn, NO_MEMORY, conn->request.mode == STORE_SET);
            return true;
        }
        memcpy((char *)conn->block.data + MARGIN, conn->in + conn->in_start, available);
        conn->block_end = available;
        conn->in_start = conn->in_end = 0;
    }
    if (conn->block_end < need)
        return false;
    finish_store(worker, conn, (char *)conn->block.data + MARGIN);
    give_block_back(conn);
    return true;
}

static bool step_skip(struct conn *conn)
{
    size_t available = conn->in_end - conn->in_start;
    if (conn->state == SKIP_BYTES) {
        size_t now = conn->skip < available ? (size_t)conn->skip : available;
        conn->in_start += now;
        conn->skip -= now;
        if (conn->skip == 0)
            conn->state = READ_LINE;
        return conn->skip == 0;
    }
    char *end = memchr(conn->in + conn->in_start, '\n', available);
    conn->in_start = end != NULL ? (size_t)(end + 1 - conn->in) : conn->in_end;
    if (end != NULL)
        conn->state = READ_LINE;
    return end != NULL;
}

/* Does what can be done with the input; false where there is nothing more. */
static bool step(struct worker *worker, struct conn *conn)
{
    if (conn->is_closing)
        return false;
    switch (conn->state) {
    case READ_LINE: return conn->in_start < conn->in_end && step_line(worker, conn);
    case READ_KEYS: return conn->in_start < conn->in_end && step_keys(worker, conn);
    case READ_VALUE: return step_value(worker, conn);
    default: return conn->in_start < conn->in_end && step_skip(conn);
    }
}

/* ---- bytes ---- */

/* Reads once. Returns whether anything came. */
static bool read_input(struct worker *worker, struct conn *conn)
{
    char *at;
    size_t room;
    if (conn->has_block && !conn->block_is_output) {
        at = (char *)conn->block.data + MARGIN + conn->block_end;
        room = (size_t)conn->request.value_len + 2 - conn->block_end;
    } else {
        memmove(conn->in, conn->in + conn->in_start, conn->in_end - conn->in_start);
        conn->in_end -= conn->in_start;
        conn->in_start = 0;
        at = conn->in + conn->in_end;
        room = IN_SIZE - conn->in_end;
    }
    ssize_t count = recv(conn->fd, at, room, 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        conn->is_closing = true;
    if (count <= 0)
        return false;
    count_more(worker, COUNT_bytes_read, (uint64_t)count);
    if (conn->has_block && !conn->block_is_output)
        conn->block_end += (size_t)count;
    else
        conn->in_end += (size_t)count;
    return true;
}

static void close_conn(struct conn *conn)
{
    give_block_back(conn);
    close(conn->fd);
    atomic_fetch_sub(&server.conns_now, 1);
    if (atomic_load(&server.settings.verbosity) > 0)
        fprintf(stderr, "<%d connection closed.\n", conn->fd);
    pthread_mutex_lock(&server.free_lock);
    conn->next_free = server.free_conn;
    server.free_conn = conn;
    atomic_store(&conn->owner, NULL);
    pthread_mutex_unlock(&server.free_lock);
}

/* In the middle of a command, or with an answer that is not read. */
static bool is_busy(const struct conn *conn)
{
    return conn->state != READ_LINE || conn->in_start < conn->in_end || has_output(conn);
}

static void watch(struct worker *worker, struct conn *conn, bool waits_to_write)
{
    if (conn->waits_to_write == waits_to_write)
        return;
    struct epoll_event event = { .events = waits_to_write ? EPOLLOUT : EPOLLIN, .data.ptr = conn };
    conn->waits_to_write = waits_to_write;
    epoll_ctl(worker->epoll, EPOLL_CTL_MOD, conn->fd, &event);
}

/* Runs commands and writes their answers, until the input is used up, or the client has to read or has had its turn:
 * false then. With an empty output each command has room, so none waits for an event that does not come. */
static bool run_commands(struct worker *worker, struct conn *conn, bool *progressed)
{
    for (unsigned turn = 0; flush_output(worker, conn); turn++) {
        bool has_run = false;
        if (turn == TURNS_MAX) {
            COUNT(worker, conn_yields);
            return false;
        }
        while (step(worker, conn))
            has_run = true;
        if (!has_run)
            return true;
        *progressed = true;
    }
    return false;
}

/* One read, its commands, and one write where the client reads what it asks for. */
static void serve(struct worker *worker, struct conn *conn)
{
    bool progressed = !is_busy(conn);
    bool can_go_on = run_commands(worker, conn, &progressed); /* those that had to wait for room */
    if (can_go_on && !conn->is_closing && read_input(worker, conn))
        can_go_on = run_commands(worker, conn, &progressed);
    if (conn->is_closing && can_go_on) {
        close_conn(conn);
        return;
    }
    conn->used_ms = now_ms();
    if (progressed)
        conn->busy_since_ms = conn->used_ms;
    watch(worker, conn, !can_go_on);
}

/* ---- time ---- */

/* A command has to be done in a time that its value's length allows, a shorter one where the spool is short and this
 * connection has a block of it. */
static bool is_overdue(const struct conn *conn)
{
    uint64_t now = now_ms(), size = conn->has_block ? conn->block.size : 0;
    if (!is_busy(conn)) {
        uint64_t idle_ms = server.settings.idle_seconds * 1000;
        return idle_ms != 0 && now - conn->used_ms > idle_ms;
    }
    uint64_t short_ms = atomic_load_explicit(&server.spool_short_ms, memory_order_relaxed);
    uint64_t age = now - conn->busy_since_ms;
    bool is_pressed = conn->has_block && short_ms != 0 && now - short_ms < PRESSED_MS;
    if (is_pressed && age > PRESSED_MS + size / PRESSED_RATE_PER_MS)
        return true;
    return age > STALL_MS + size / STALL_RATE_PER_MS;
}

static void sweep(struct worker *worker)
{
    worker->swept_ms = now_ms();
    for (uint64_t i = 0; i < server.settings.connections; i++) {
        struct conn *conn = &server.conns[i];
        if (atomic_load_explicit(&conn->owner, memory_order_acquire) == worker && is_overdue(conn)) {
            COUNT(worker, idle_kicks);
            close_conn(conn);
        }
    }
}

static void clear_if_due(void)
{
    uint64_t at = atomic_load_explicit(&server.flush_at_ms, memory_order_relaxed);
    if (at != 0 && now_ms() >= at && atomic_compare_exchange_strong(&server.flush_at_ms, &at, 0))
        larder_cache_clear(server.cache);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct epoll_event events[EVENTS_MAX];
    while (!atomic_load_explicit(&server.stopping, memory_order_relaxed)) {
        int count = epoll_wait(worker->epoll, events, EVENTS_MAX, SWEEP_MS);
        renew_clock();
        clear_if_due();
        for (int i = 0; i < count; i++)
            serve(worker, events[i].data.ptr);
        if (now_ms() - worker->swept_ms >= SWEEP_MS)
            sweep(worker);
    }
    return NULL;
}

#endif
