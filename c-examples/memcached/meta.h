/* meta.h: the meta commands: mg, ms, md, ma, me, mn, and their flags. */
#ifndef MEMCACHED_META_H
#define MEMCACHED_META_H

#include "classic.h"

#define META_WORDS_MAX 19 /* memcached's limit */
#define META_FLAGS "bCDFIJLMNOPRTcfhklqstuvx"
#define OPAQUE_LEN_MAX 32 /* its flag's letter included */

/* The flags of a command, and what those with a token say. */
struct meta {
    bool has[128];
    char mode;
    int32_t ttl, vivify, recache;
    uint32_t flags;
    uint64_t cas, initial, by;
    const struct words *words;
    size_t opaque_len;
    size_t first; /* the first flag's word */
    struct key key;
    char decoded[KEY_LEN_MAX];
};

static bool has_flag(const struct meta *meta, char letter)
{
    return meta->has[(unsigned char)letter];
}

/* What a flag's token says; NULL, or what is wrong. */
static const char *read_flag(struct meta *meta, const struct word *word)
{
    static const char bad_token[] = "CLIENT_ERROR bad token in command line format";
    switch (word->at[0]) {
    case 'b':
        meta->key = (struct key){ meta->decoded, base64_decode(meta->key.at, meta->key.len, meta->decoded) };
        return meta->key.len > 0 ? NULL : "CLIENT_ERROR error decoding key";
    case 'N': return word_i32(word, 1, &meta->vivify) ? NULL : bad_token;
    case 'T': return word_i32(word, 1, &meta->ttl) ? NULL : bad_token;
    case 'R': return word_i32(word, 1, &meta->recache) ? NULL : bad_token;
    case 'C': return word_u64(word, 1, &meta->cas) ? NULL : bad_token;
    case 'F': return word_u32(word, 1, &meta->flags) ? NULL : BAD_FORMAT;
    case 'J': return word_u64(word, 1, &meta->initial) ? NULL : "CLIENT_ERROR invalid numeric initial value";
    case 'D': return word_u64(word, 1, &meta->by) ? NULL : "CLIENT_ERROR invalid numeric delta value";
    case 'M':
        if (word->len == 2)
            meta->mode = word->at[1];
        return word->len == 2 ? NULL : "CLIENT_ERROR incorrect length for M token";
    case 'O': meta->opaque_len = word->len; return NULL;
    default: return NULL;
    }
}

/* Reads the flags from word number `first` on; NULL, or what is wrong: of several tokens, the last one's fault. */
static const char *read_flags(struct meta *meta, const struct words *words, size_t first)
{
    const char *wrong = NULL;
    memset(meta, 0, offsetof(struct meta, decoded));
    meta->by = 1;
    meta->words = words;
    meta->first = first;
    meta->key = (struct key){ words->word[1].at, words->word[1].len };
    if (words->word[1].len > KEY_LEN_MAX)
        return BAD_FORMAT;
    if (words->count > META_WORDS_MAX)
        return "CLIENT_ERROR options flags are too long";
    for (size_t i = first; i < words->count; i++) {
        unsigned char letter = (unsigned char)words->word[i].at[0];
        if (letter >= sizeof meta->has || meta->has[letter])
            return "CLIENT_ERROR duplicate flag";
        if (letter == '\0' || strchr(META_FLAGS, letter) == NULL)
            return "CLIENT_ERROR invalid flag";
        meta->has[letter] = true;
        const char *fault = read_flag(meta, &words->word[i]);
        if (fault != NULL && (wrong == NULL || letter != 'F'))
            wrong = fault;
    }
    if (wrong == NULL && meta->opaque_len > OPAQUE_LEN_MAX)
        wrong = "CLIENT_ERROR opaque token too long";
    return wrong;
}

/* ---- answers ---- */

static char *put_key(char *at, struct key key, bool is_binary)
{
    at = put_text(at, " k");
    return is_binary ? put_text(put_base64(at, key.at, key.len), " b") : put_bytes(at, key.at, key.len);
}

static char *put_ttl(char *at, uint64_t ttl_ms)
{
    return ttl_ms == LARDER_TTL_NEVER ? put_text(at, " t-1") : put_u64(put_text(at, " t"), (ttl_ms + 999) / 1000);
}

/* The TTL that an item has where this flag is met: N and T change it in their place. */
static uint64_t ttl_at(const struct meta *meta, const struct entry *entry, const struct word *flag)
{
    uint64_t ttl_ms = entry->is_new ? LARDER_TTL_NEVER : entry->ttl_ms;
    for (const struct word *word = &meta->words->word[meta->first]; word < flag; word++) {
        if (word->at[0] == 'T')
            ttl_ms = life_of(meta->ttl).ttl_ms;
        else if (word->at[0] == 'N' && entry->is_new)
            ttl_ms = life_of(meta->vivify).ttl_ms;
    }
    return ttl_ms;
}

/* Appends what the flags ask for, in their order; without an entry, the key and the opaque token alone. */
static char *put_flags(char *at, const struct meta *meta, const struct entry *entry)
{
    for (size_t i = meta->first; i < meta->words->count; i++) {
        const struct word *word = &meta->words->word[i];
        if (word->at[0] == 'O') {
            *at++ = ' ';
            at = put_bytes(at, word->at, word->len);
        } else if (word->at[0] == 'k') {
            at = put_key(at, meta->key, has_flag(meta, 'b'));
        }
        if (entry == NULL)
            continue;
        switch (word->at[0]) {
        case 's': at = put_u64(put_text(at, " s"), entry->len); break;
        case 't': at = put_ttl(at, ttl_at(meta, entry, word)); break;
        case 'c': at = put_u64(put_text(at, " c"), entry->cas); break;
        case 'f': at = put_u64(put_text(at, " f"), entry->flags); break;
        case 'l': at = put_u64(put_text(at, " l"), seconds_since_access(entry->tag)); break;
        case 'h': at = put_text(at, entry->tag & TAG_FETCHED ? " h1" : " h0"); break;
        default: break;
        }
    }
    return at;
}

static void answer_code(struct conn *conn, const struct meta *meta, const char *code, const struct entry *entry)
{
    char *at = put_text(conn->out + conn->out_end, code);
    at = put_bytes(put_flags(at, meta, entry), "\r\n", 2);
    conn->out_end = (size_t)(at - conn->out);
}

static const char *code_of(enum answer answer)
{
    static const char *const codes[] = { "HD", "NS", "EX", "NF" };
    return codes[answer];
}

/* ---- mg ---- */

/* The old item, or on a miss with N a new, empty one that the client has won. */
static enum fetched fetch_meta(struct worker *worker, struct conn *conn, const struct meta *meta,
                               struct entry *entry)
{
    char *empty = worker->scratch + MARGIN;
    larder_item item;
    uint32_t flags = has_flag(meta, 'u') ? LARDER_PEEK : 0, fetched_tag = has_flag(meta, 'u') ? 0 : TAG_FETCHED;
    for (;;) {
        if (has_flag(meta, 'v')) {
            enum fetched fetched = fetch(worker, conn, meta->key, flags, entry);
            if (fetched != MISSED)
                return fetched;
        } else if (find(meta->key, empty, server.settings.item_size_max, flags, &item) == LARDER_OK) {
            *entry = entry_of(meta->key, &item, empty);
            return FETCHED;
        }
        if (!has_flag(meta, 'N'))
            return MISSED;
        struct life life = life_of(meta->vivify);
        *entry = (struct entry){ .ttl_ms = life.ttl_ms, .value = empty };
        enum answer added = add_value(worker, meta->key, empty, 0, 0, TAG_WON | fetched_tag, life, &entry->version);
        entry->cas = cas_of(meta->key, entry->version);
        if (added != NOT_STORED) {
            entry->is_new = added == STORED;
            return added == STORED ? FETCHED : NO_SPOOL;
        }
    }
}

/* Whether this client is the one to make the value anew. */
static bool wins(const struct meta *meta, struct entry *entry)
{
    bool is_due = false;
    for (size_t i = meta->first; i < meta->words->count && meta->recache != 0; i++) {
        if (meta->words->word[i].at[0] == 'R') {
            uint64_t ttl_ms = ttl_at(meta, entry, &meta->words->word[i]);
            is_due = ttl_ms != LARDER_TTL_NEVER && (ttl_ms + 999) / 1000 * 1000 < life_of(meta->recache).ttl_ms;
        }
    }
    if (entry->is_new || (entry->tag & TAG_WON) || !(is_due || (entry->tag & TAG_STALE)))
        return entry->is_new;
    bool is_first = !(set_bits(meta->key, TAG_WON, TAG_WON) & TAG_WON);
    if (!is_first)
        entry->tag |= TAG_WON;
    return is_first;
}

/* False where there is no room: the command is run again then. */
static bool run_mg(struct worker *worker, struct conn *conn, const struct words *words)
{
    struct meta meta;
    struct entry entry = { 0 };
    const char *wrong = read_flags(&meta, words, 2);
    if (wrong != NULL) {
        reply(conn, false, wrong);
        return true;
    }
    enum fetched fetched = fetch_meta(worker, conn, &meta, &entry);
    if (fetched == BLOCKED)
        return false;
    conn->with_touch = has_flag(&meta, 'T');
    COUNT(worker, cmd_meta);
    count_get(worker, conn, fetched == FETCHED && !entry.is_new);
    if (fetched == NO_SPOOL)
        reply(conn, false, "SERVER_ERROR out of memory writing get response");
    if (fetched == MISSED && !has_flag(&meta, 'q'))
        answer_code(conn, &meta, "EN", NULL);
    if (fetched != FETCHED)
        return true;
    bool is_won = wins(&meta, &entry);
    if (has_flag(&meta, 'T'))
        touch(meta.key, life_of(meta.ttl), false);
    if (!entry.is_new && !has_flag(&meta, 'u'))
        note_access(meta.key, entry.tag);
    char line[VALUE_ROOM];
    char *at = has_flag(&meta, 'v') ? put_u64(put_text(line, "VA "), entry.len) : put_text(line, "HD");
    at = put_flags(at, &meta, &entry);
    if (entry.tag & TAG_WON)
        at = put_text(at, " Z");
    if (entry.tag & TAG_STALE)
        at = put_text(at, " X");
    at = put_text(at, is_won ? " W\r\n" : "\r\n");
    if (has_flag(&meta, 'v'))
        send_entry(conn, line, (size_t)(at - line), &entry);
    else
        conn->out_end = (size_t)(put_bytes(conn->out + conn->out_end, line, (size_t)(at - line)) - conn->out);
    return true;
}

/* ---- ms ---- */

static const char *mode_of(const struct meta *meta, enum store_mode *mode)
{
    switch (meta->mode) {
    case '\0': case 'S': case 's': *mode = STORE_SET; break;
    case 'E': case 'e': *mode = STORE_ADD; break;
    case 'A': case 'a': *mode = STORE_APPEND; break;
    case 'P': case 'p': *mode = STORE_PREPEND; break;
    case 'R': case 'r': *mode = STORE_REPLACE; break;
    default: return "CLIENT_ERROR invalid mode for ms M token";
    }
    if (meta->cas != 0 || has_flag(meta, 'C'))
        if (*mode == STORE_SET || *mode == STORE_REPLACE)
            *mode = STORE_CAS;
    return NULL;
}

/* What the answer will repeat is kept: the line is gone once the value is there. */
static void keep_echo(struct request *request, const struct meta *meta)
{
    for (size_t i = meta->first; i < meta->words->count; i++) {
        const struct word *word = &meta->words->word[i];
        if (strchr("Okcs", word->at[0]) == NULL)
            continue;
        request->echo[request->echo_count++] = word->at[0];
        if (word->at[0] == 'O') {
            request->opaque_len = (uint8_t)word->len;
            memcpy(request->opaque, word->at, word->len);
        }
    }
}

static void start_ms(struct worker *worker, struct conn *conn, const struct words *words)
{
    struct request *request = &conn->request;
    struct meta meta;
    int32_t len;
    if (words->count < 3 || !word_i32(&words->word[2], 0, &len) || len < 0 || len > INT32_MAX - 2 ||
        words->word[1].len > KEY_LEN_MAX) {
        reply(conn, false, BAD_FORMAT);
        return;
    }
    memset(request, 0, offsetof(struct request, key));
    request->echo_count = request->opaque_len = 0;
    request->value_len = (uint64_t)len;
    const char *wrong = read_flags(&meta, words, 3);
    if (wrong == NULL)
        wrong = mode_of(&meta, &request->mode);
    if (wrong != NULL) {
        reply(conn, false, wrong);
        conn->state = SKIP_BYTES;
        conn->skip = request->value_len + 2;
        return;
    }
    COUNT(worker, cmd_meta);
    request->is_meta = true;
    request->is_quiet = has_flag(&meta, 'q');
    request->invalidate = has_flag(&meta, 'I');
    request->has_binary_key = has_flag(&meta, 'b');
    request->flags = meta.flags;
    request->expiry = meta.ttl;
    request->cas = meta.cas;
    request->key_len = meta.key.len;
    memcpy(request->key, meta.key.at, meta.key.len);
    keep_echo(request, &meta);
    conn->state = READ_VALUE;
    if (!fits(request))
        refuse_value(worker, conn, TOO_LARGE, true);
}

static void answer_ms(struct conn *conn, enum answer answer, uint64_t version)
{
    const struct request *request = &conn->request;
    struct key key = { request->key, request->key_len };
    char *at = put_text(conn->out + conn->out_end, code_of(answer));
    for (size_t i = 0; i < request->echo_count; i++) {
        switch (request->echo[i]) {
        case 'O':
            *at++ = ' ';
            at = put_bytes(at, request->opaque, request->opaque_len);
            break;
        case 'k': at = put_key(at, key, request->has_binary_key); break;
        case 's': at = put_u64(put_text(at, " s"), request->value_len); break;
        default: at = put_u64(put_text(at, " c"), answer == STORED ? cas_of(key, version) : 0); break;
        }
    }
    at = put_bytes(at, "\r\n", 2);
    conn->out_end = (size_t)(at - conn->out);
}

/* The value of any storing command is there, and the end of its line. */
static void finish_store(struct worker *worker, struct conn *conn, char *value)
{
    const struct request *request = &conn->request;
    uint64_t version = 0;
    conn->state = READ_LINE;
    if (memcmp(value + request->value_len, "\r\n", 2) != 0) {
        reply(conn, request->is_quiet && !request->is_meta, "CLIENT_ERROR bad data chunk");
        return;
    }
    enum answer answer = store(worker, request, value, &version);
    if (answer >= TOO_LARGE && request->mode == STORE_SET)
        larder_cache_delete(server.cache, request->key, request->key_len);
    if (!request->is_meta || answer >= TOO_LARGE)
        reply(conn, request->is_quiet && !request->is_meta, ANSWERS[answer]);
    else if (!(request->is_quiet && answer == STORED))
        answer_ms(conn, answer, version);
}

/* ---- md, ma, me ---- */

static void run_md(struct worker *worker, struct conn *conn, const struct words *words)
{
    struct meta meta;
    if (read_flags(&meta, words, 2) != NULL) {
        reply(conn, false, words->word[1].len > KEY_LEN_MAX ? BAD_FORMAT : "CLIENT_ERROR invalid or duplicate flag");
        return;
    }
    struct unmake how = { meta.cas, has_flag(&meta, 'I'), has_flag(&meta, 'x'), has_flag(&meta, 'T'),
                          life_of(meta.ttl) };
    COUNT(worker, cmd_meta);
    enum answer answer = unmake(worker, meta.key, &how);
    if (answer == STORED)
        COUNT(worker, delete_hits);
    else
        COUNT(worker, delete_misses);
    if (answer >= TOO_LARGE)
        reply(conn, false, ANSWERS[answer]);
    else if (!(has_flag(&meta, 'q') && answer == STORED))
        answer_code(conn, &meta, code_of(answer), NULL);
}

static void run_ma(struct worker *worker, struct conn *conn, const struct words *words)
{
    char buffer[MARGIN + NUMBER_LEN_MAX + 1] = { 0 };
    struct entry number = { .value = buffer + MARGIN };
    struct meta meta;
    if (read_flags(&meta, words, 2) != NULL) {
        reply(conn, false, words->word[1].len > KEY_LEN_MAX ? BAD_FORMAT : "CLIENT_ERROR invalid or duplicate flag");
        return;
    }
    if (meta.mode != '\0' && strchr("IiDd+-", meta.mode) == NULL) {
        reply(conn, false, "CLIENT_ERROR invalid mode for ma M token");
        return;
    }
    struct delta delta = { meta.mode != '\0' && strchr("Dd-", meta.mode) != NULL, has_flag(&meta, 'N'),
                           has_flag(&meta, 'T'), meta.by, meta.initial, meta.cas, life_of(meta.ttl),
                           life_of(meta.vivify) };
    COUNT(worker, cmd_meta);
    enum answer answer = add_delta(worker, meta.key, &delta, &number);
    count_delta(worker, delta.is_decrement, answer);
    if (answer >= TOO_LARGE) {
        reply(conn, false, ANSWERS[answer]);
    } else if (answer != STORED) {
        answer_code(conn, &meta, code_of(answer), NULL);
    } else if (has_flag(&meta, 'q') && !number.is_new) {
        return;
    } else if (!has_flag(&meta, 'v')) {
        answer_code(conn, &meta, "HD", &number);
    } else {
        char line[VALUE_ROOM];
        char *at = put_flags(put_u64(put_text(line, "VA "), number.len), &meta, &number);
        at = put_bytes(at, "\r\n", 2);
        send_entry(conn, line, (size_t)(at - line), &number);
    }
}

static void run_me(struct worker *worker, struct conn *conn, const struct words *words)
{
    struct key key = { words->word[1].at, words->word[1].len };
    char decoded[KEY_LEN_MAX];
    larder_item item;
    larder_item_info info = LARDER_ITEM_INFO_INIT;
    bool is_binary = words->count > 2 && word_is(&words->word[2], "b");
    if (is_binary && key.len <= KEY_LEN_MAX)
        key = (struct key){ decoded, base64_decode(key.at, key.len, decoded) };
    if (key.len > KEY_LEN_MAX || key.len == 0) {
        reply(conn, false, BAD_FORMAT);
        return;
    }
    COUNT(worker, cmd_meta);
    if (find(key, NULL, 0, LARDER_PEEK, &item) == LARDER_NOT_FOUND ||
        larder_cache_item_info(server.cache, key.at, key.len, &info) != LARDER_OK) {
        reply(conn, false, "EN");
        return;
    }
    char *at = put_text(conn->out + conn->out_end, "ME ");
    at = is_binary ? put_base64(at, key.at, key.len) : put_bytes(at, key.at, key.len);
    at = put_text(at, item.ttl_ms == LARDER_TTL_NEVER ? " exp=-1" : " exp=");
    if (item.ttl_ms != LARDER_TTL_NEVER)
        at = put_u64(at, (item.ttl_ms + 999) / 1000);
    at = put_u64(put_text(at, " la="), seconds_since_access(item.tag));
    at = put_u64(put_text(at, " cas="), cas_of(key, item.version));
    at = put_text(at, item.tag & TAG_FETCHED ? " fetch=yes cls=1 size=" : " fetch=no cls=1 size=");
    at = put_bytes(put_u64(at, info.memory), "\r\n", 2);
    conn->out_end = (size_t)(at - conn->out);
}

#endif
