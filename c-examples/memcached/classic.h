/* classic.h: the commands of the text protocol that are whole words: get and its kin, set and its kin, and the rest. */
#ifndef MEMCACHED_CLASSIC_H
#define MEMCACHED_CLASSIC_H

#include "items.h"
#include "stats.h"

#define BAD_FORMAT "CLIENT_ERROR bad command line format"
#define VALUE_ROOM 640 /* the longest line before a value */

/* ---- values on their way out ---- */

enum fetched { FETCHED, MISSED, BLOCKED, NO_SPOOL };

/* Copies an item's value to where it will be sent from: behind room for its line in `out`, or where it is too long for
 * that in a block of the spool. BLOCKED: there is room once the output is written; ask again then. */
static enum fetched fetch(struct worker *worker, struct conn *conn, struct key key, uint32_t flags,
                          struct entry *entry)
{
    larder_item item;
    if (!has_room(conn, VALUE_ROOM + REPLY_MAX))
        return BLOCKED;
    for (;;) {
        char *buffer = conn->out + conn->out_end + VALUE_ROOM;
        size_t capacity = OUT_SIZE - conn->out_end - VALUE_ROOM - 2;
        if (conn->has_block) {
            buffer = conn->block.data;
            capacity = conn->block.size - 2;
        }
        larder_status status = find(key, buffer, capacity, flags, &item);
        if (status == LARDER_OK) {
            *entry = entry_of(key, &item, buffer);
            return FETCHED;
        }
        give_block_back(conn);
        if (status != LARDER_BUFFER_TOO_SMALL)
            return MISSED;
        if (conn->out_end > 0 && item.value_len + VALUE_ROOM + REPLY_MAX < OUT_SIZE)
            return BLOCKED;
        if (!take_block(worker, conn, (size_t)item.value_len + 2))
            return NO_SPOOL;
    }
}

/* The line before a value, and the value that `fetch` has copied. */
static void send_entry(struct conn *conn, const char *line, size_t line_len, const struct entry *entry)
{
    char *at = put_bytes(conn->out + conn->out_end, line, line_len);
    if (conn->has_block) {
        conn->block_is_output = true;
        conn->block_start = (size_t)(entry->value - (char *)conn->block.data);
        conn->block_end = conn->block_start + entry->len + 2;
        put_bytes(entry->value + entry->len, "\r\n", 2);
    } else {
        memmove(at, entry->value, entry->len);
        at = put_bytes(at + entry->len, "\r\n", 2);
    }
    conn->out_end = (size_t)(at - conn->out);
}

/* ---- get, gets, gat, gats ---- */

static void count_get(struct worker *worker, const struct conn *conn, bool found)
{
    if (conn->with_touch) {
        COUNT(worker, cmd_touch);
        if (found)
            COUNT(worker, touch_hits);
        else
            COUNT(worker, touch_misses);
    } else {
        COUNT(worker, cmd_get);
    }
    if (found)
        COUNT(worker, get_hits);
    else
        COUNT(worker, get_misses);
}

static enum fetched answer_key(struct worker *worker, struct conn *conn, struct key key)
{
    struct entry entry;
    enum fetched fetched = fetch(worker, conn, key, 0, &entry);
    if (fetched == BLOCKED || fetched == NO_SPOOL)
        return fetched;
    count_get(worker, conn, fetched == FETCHED);
    if (fetched == MISSED)
        return MISSED;
    if (conn->with_touch)
        touch(key, life_of(conn->touch_expiry), false);
    note_access(key, entry.tag);
    char line[VALUE_ROOM];
    char *at = put_bytes(put_text(line, "VALUE "), key.at, key.len);
    *at++ = ' ';
    at = put_u64(at, entry.flags);
    *at++ = ' ';
    at = put_u64(at, entry.len);
    if (conn->with_cas) {
        *at++ = ' ';
        at = put_u64(at, entry.cas);
    }
    at = put_bytes(at, "\r\n", 2);
    send_entry(conn, line, (size_t)(at - line), &entry);
    return FETCHED;
}

/* A whole line is refused before any of its keys is answered; one that is longer than the buffer, where it is wrong. */
static bool keys_are_short(const char *at, const char *end)
{
    while (at < end) {
        const char *key_end = memchr(at, ' ', (size_t)(end - at));
        if (key_end == NULL)
            key_end = end;
        if (key_end - at > KEY_LEN_MAX)
            return false;
        at = key_end + 1;
    }
    return true;
}

/* Starts a get: `rest` is the line behind its first word, `end` where the line ends or what has come of it. Where the
 * line is whole, `next` is the line behind it. */
static void start_get(struct conn *conn, const struct word *verb, char *rest, char *end, const char *next)
{
    conn->with_touch = verb->at[1] == 'a';
    conn->with_cas = verb->at[verb->len - 1] == 's';
    conn->state = next != NULL ? READ_LINE : SKIP_LINE;
    struct words words;
    split_words(rest, (size_t)(end - rest), &words);
    if (words.count == 0) {
        reply(conn, false, "ERROR");
        return;
    }
    if (conn->with_touch) {
        if (!word_i32(&words.word[0], 0, &conn->touch_expiry)) {
            reply(conn, false, "CLIENT_ERROR invalid exptime argument");
            return;
        }
        rest = words.word[0].at + words.word[0].len;
    }
    if (next != NULL && !keys_are_short(rest, end)) {
        reply(conn, false, BAD_FORMAT);
        return;
    }
    conn->state = READ_KEYS;
    conn->in_start = (size_t)(rest - conn->in);
}

/* One key, or the line's end. False where it needs more input or room. */
static bool step_keys(struct worker *worker, struct conn *conn)
{
    char *at = conn->in + conn->in_start, *end = conn->in + conn->in_end;
    while (at < end && *at == ' ')
        at++;
    conn->in_start = (size_t)(at - conn->in);
    char *key_end = at;
    while (key_end < end && *key_end != ' ' && *key_end != '\n')
        key_end++;
    if ((key_end == end && key_end - at <= KEY_LEN_MAX + 1) || !has_room(conn, REPLY_MAX))
        return false;
    bool is_last = key_end < end && *key_end == '\n';
    if (is_last && key_end > at && key_end[-1] == '\r')
        key_end--;
    size_t len = (size_t)(key_end - at);
    enum fetched fetched = MISSED;
    if (len == 0) {
        reply(conn, false, "END");
        conn->state = SKIP_LINE;
    } else if (len > KEY_LEN_MAX) {
        reply(conn, false, BAD_FORMAT);
        conn->state = SKIP_LINE;
    } else {
        fetched = answer_key(worker, conn, (struct key){ at, len });
    }
    if (fetched == NO_SPOOL) {
        reply(conn, false, "SERVER_ERROR out of memory writing get response");
        conn->state = SKIP_LINE;
    }
    if (fetched != BLOCKED)
        conn->in_start = (size_t)(key_end - conn->in);
    return fetched != BLOCKED;
}

/* ---- set, add, replace, append, prepend, cas ---- */

/* A value that cannot be stored is read all the same. Where it was to replace another, that one is gone, too: it is
 * not what the client wants to be there. */
static void refuse_value(struct worker *worker, struct conn *conn, enum answer answer, bool removes_old)
{
    const struct request *request = &conn->request;
    if (answer == TOO_LARGE)
        COUNT(worker, store_too_large);
    else
        COUNT(worker, store_no_memory);
    reply(conn, request->is_quiet && !request->is_meta, ANSWERS[answer]);
    if (removes_old)
        larder_cache_delete(server.cache, request->key, request->key_len);
    conn->state = SKIP_BYTES;
    conn->skip = request->value_len + 2;
}

static void start_store(struct worker *worker, struct conn *conn, const struct words *words, enum store_mode mode)
{
    struct request *request = &conn->request;
    const struct word *word = words->word;
    bool has_cas = mode == STORE_CAS;
    int32_t len = 0;
    memset(request, 0, offsetof(struct request, key));
    request->mode = mode;
    if (words->count < 5 + (size_t)has_cas || words->count > 6 + (size_t)has_cas) {
        reply(conn, false, "ERROR");
        return;
    }
    request->is_quiet = last_is_noreply(words);
    if (word[1].len > KEY_LEN_MAX || !word_u32(&word[2], 0, &request->flags) ||
        !word_i32(&word[3], 0, &request->expiry) || !word_i32(&word[4], 0, &len) ||
        (has_cas && !word_u64(&word[5], 0, &request->cas)) || len < 0 || len > INT32_MAX - 2) {
        reply(conn, request->is_quiet, BAD_FORMAT);
        return;
    }
    request->key_len = word[1].len;
    memcpy(request->key, word[1].at, word[1].len);
    request->value_len = (uint64_t)len;
    conn->state = READ_VALUE;
    if (!fits(request))
        refuse_value(worker, conn, TOO_LARGE, mode == STORE_SET);
}

/* ---- delete, touch, incr, decr ---- */

static void run_delete(struct worker *worker, struct conn *conn, const struct words *words)
{
    const struct word *word = words->word;
    bool is_quiet = last_is_noreply(words) && words->count > 2;
    if (words->count < 2 || words->count > 4) {
        reply(conn, false, "ERROR");
        return;
    }
    bool has_zero = words->count > 2 && word_is(&word[2], "0"); /* of a protocol before 1.4 */
    if ((words->count == 3 && !has_zero && !is_quiet) || (words->count == 4 && !(has_zero && is_quiet))) {
        reply(conn, is_quiet, BAD_FORMAT ".  Usage: delete <key> [noreply]");
        return;
    }
    if (word[1].len > KEY_LEN_MAX) {
        reply(conn, is_quiet, BAD_FORMAT);
        return;
    }
    struct unmake plain = { 0, false, false, false, { 0, false } };
    if (unmake(worker, (struct key){ word[1].at, word[1].len }, &plain) == MISSING) {
        COUNT(worker, delete_misses);
        reply(conn, is_quiet, "NOT_FOUND");
    } else {
        COUNT(worker, delete_hits);
        reply(conn, is_quiet, "DELETED");
    }
}

static void run_touch(struct worker *worker, struct conn *conn, const struct words *words)
{
    const struct word *word = words->word;
    int32_t expiry;
    if (words->count != 3 && words->count != 4) {
        reply(conn, false, "ERROR");
        return;
    }
    bool is_quiet = last_is_noreply(words);
    if (word[1].len > KEY_LEN_MAX) {
        reply(conn, is_quiet, BAD_FORMAT);
        return;
    }
    if (!word_i32(&word[2], 0, &expiry)) {
        reply(conn, is_quiet, "CLIENT_ERROR invalid exptime argument");
        return;
    }
    enum answer answer = touch((struct key){ word[1].at, word[1].len }, life_of(expiry), true);
    COUNT(worker, cmd_touch);
    if (answer == STORED)
        COUNT(worker, touch_hits);
    else
        COUNT(worker, touch_misses);
    reply(conn, is_quiet, answer == STORED ? "TOUCHED" : ANSWERS[answer]);
}

static void count_delta(struct worker *worker, bool is_decrement, enum answer answer)
{
    if (answer == STORED && is_decrement)
        COUNT(worker, decr_hits);
    else if (answer == STORED)
        COUNT(worker, incr_hits);
    else if (answer == MISSING && is_decrement)
        COUNT(worker, decr_misses);
    else if (answer == MISSING)
        COUNT(worker, incr_misses);
}

static void run_delta(struct worker *worker, struct conn *conn, const struct words *words)
{
    const struct word *word = words->word;
    char buffer[MARGIN + NUMBER_LEN_MAX + 1] = { 0 };
    struct entry number = { .value = buffer + MARGIN };
    struct delta delta = { .is_decrement = word[0].at[0] == 'd' };
    if (words->count != 3 && words->count != 4) {
        reply(conn, false, "ERROR");
        return;
    }
    bool is_quiet = last_is_noreply(words);
    if (word[1].len > KEY_LEN_MAX) {
        reply(conn, is_quiet, BAD_FORMAT);
        return;
    }
    if (!word_u64(&word[2], 0, &delta.by)) {
        reply(conn, is_quiet, "CLIENT_ERROR invalid numeric delta argument");
        return;
    }
    enum answer answer = add_delta(worker, (struct key){ word[1].at, word[1].len }, &delta, &number);
    count_delta(worker, delta.is_decrement, answer);
    number.value[number.len] = '\0';
    reply(conn, is_quiet, answer == STORED ? number.value : ANSWERS[answer]);
}

/* ---- flush_all, verbosity ---- */

/* At once, or after a delay: a worker clears the cache then, see clear_if_due. */
static void run_flush(struct worker *worker, struct conn *conn, const struct words *words)
{
    int32_t delay = 0;
    if (words->count > 3) {
        reply(conn, false, "ERROR");
        return;
    }
    bool is_quiet = words->count > 1 && last_is_noreply(words);
    COUNT(worker, cmd_flush);
    if (server.settings.no_flush) {
        reply(conn, is_quiet, "CLIENT_ERROR flush_all not allowed");
        return;
    }
    if (words->count > 1 + (size_t)is_quiet && !word_i32(&words->word[1], 0, &delay)) {
        reply(conn, is_quiet, "CLIENT_ERROR invalid exptime argument");
        return;
    }
    struct life life = life_of(delay);
    atomic_store(&server.flush_at_ms, 0);
    if (delay > 0 && !life.is_dead)
        atomic_store(&server.flush_at_ms, now_ms() + life.ttl_ms);
    else
        larder_cache_clear(server.cache);
    reply(conn, is_quiet, "OK");
}

/* Moves the clock, for tests. */
static void run_debugtime(struct conn *conn, const struct words *words)
{
    uint32_t seconds;
    if (words->count != 2 || !word_u32(&words->word[1], 0, &seconds)) {
        reply(conn, false, "ERROR");
        return;
    }
    atomic_fetch_add(&server.skipped_ms, (uint64_t)seconds * 1000);
    renew_clock();
    reply(conn, false, "OK");
}

static void run_verbosity(struct conn *conn, const struct words *words)
{
    uint32_t level;
    if (words->count != 2 && words->count != 3) {
        reply(conn, false, "ERROR");
        return;
    }
    bool is_quiet = last_is_noreply(words);
    if (!word_u32(&words->word[1], 0, &level)) {
        reply(conn, is_quiet, BAD_FORMAT);
        return;
    }
    atomic_store(&server.settings.verbosity, level);
    reply(conn, is_quiet, "OK");
}

#endif
