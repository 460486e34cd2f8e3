/* trace.h: reads the requests of a recorded cache trace in order, in constant memory.
 *
 *   NAME.ids   a little-endian u32 per access: the number of the key
 *   NAME.csv   the header line time_s,key_id,key_size,value_size,op,ttl_s, then one access a line;
 *              time_s is a decimal number, op is get, set or delete, ttl_s 0 = never expires
 *
 * Either may be packed by zstd and then ends in .zst: see stream.h. */
#ifndef TRACE_H
#define TRACE_H

#include "stream.h"

#include <inttypes.h>

#define TRACE_CSV_HEADER "time_s,key_id,key_size,value_size,op,ttl_s"
#define TRACE_BUFFER_SIZE (1 << 16)
#define TRACE_SECONDS_MAX UINT64_C(1000000000000) /* in milliseconds far below 2^64 */

enum request_op { REQUEST_GET, REQUEST_SET, REQUEST_DELETE };

struct request {
    uint64_t time_ms;
    uint64_t ttl_ms; /* 0 = never expires */
    uint32_t id;
    uint32_t key_size;
    uint32_t value_size;
    enum request_op op;
};

struct trace {
    struct stream stream;
    const char *path;
    bool is_csv;
    uint32_t ids_key_size, ids_value_size; /* the sizes for .ids files, which contain none */
    uint64_t count;                        /* lines or accesses read so far */
    size_t at, end;                        /* bytes[at..end] are read and not yet used */
    char error[512];                       /* empty: none so far */
    char bytes[TRACE_BUFFER_SIZE + 1];     /* one more than is read, for the NUL behind a last line */
};

static inline bool trace_is_known(const char *path)
{
    return ends_with(path, ".ids") || ends_with(path, ".ids.zst") || ends_with(path, ".csv") ||
           ends_with(path, ".csv.zst");
}

/* Moves the unused bytes to the front and reads more after them. Returns false if there were no more. */
static inline bool trace_refill(struct trace *trace)
{
    size_t rest = trace->end - trace->at;
    memmove(trace->bytes, trace->bytes + trace->at, rest);
    trace->at = 0;
    trace->end = rest + stream_read(&trace->stream, trace->bytes + rest, TRACE_BUFFER_SIZE - rest);
    if (trace->stream.error != NULL)
        snprintf(trace->error, sizeof trace->error, "%s: %s", trace->path, trace->stream.error);
    return trace->end > rest && trace->error[0] == '\0';
}

static inline void trace_line_error(struct trace *trace, const char *message)
{
    snprintf(trace->error, sizeof trace->error, "%s:%" PRIu64 ": %s", trace->path, trace->count, message);
}

/* The next line, with a NUL instead of its line end, and its end in `end`. NULL at the file's end or on an error. */
static inline char *trace_next_line(struct trace *trace, char **end)
{
    char *newline;
    while ((newline = memchr(trace->bytes + trace->at, '\n', trace->end - trace->at)) == NULL)
        if (!trace_refill(trace))
            break;
    if (trace->error[0] != '\0' || (newline == NULL && trace->at == trace->end))
        return NULL;
    trace->count++;
    if (newline == NULL && trace->end - trace->at == TRACE_BUFFER_SIZE) {
        trace_line_error(trace, "the line is too long");
        return NULL;
    }
    char *line = trace->bytes + trace->at;
    *end = newline != NULL ? newline : trace->bytes + trace->end;
    trace->at = newline != NULL ? (size_t)(newline - trace->bytes) + 1 : trace->end;
    if (*end > line && (*end)[-1] == '\r')
        --*end;
    **end = '\0';
    return line;
}

static inline bool take_char(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    ++*at;
    return true;
}

static inline bool take_number(const char **at, uint64_t max, uint64_t *out)
{
    const char *digits = *at;
    uint64_t number = 0;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        number = number * 10 + (uint64_t)(**at - '0');
        if (number > max)
            return false;
    }
    *out = number;
    return *at > digits;
}

static inline bool take_u32(const char **at, char separator, uint32_t *out)
{
    uint64_t number;
    if (!take_number(at, UINT32_MAX, &number))
        return false;
    *out = (uint32_t)number;
    return take_char(at, separator);
}

/* Reads "12,", "12.3," or "12.3456," as milliseconds; digits below one are dropped. */
static inline bool take_time(const char **at, uint64_t *out_ms)
{
    uint64_t seconds, ms = 0;
    if (!take_number(at, TRACE_SECONDS_MAX, &seconds))
        return false;
    if (take_char(at, '.'))
        for (uint64_t unit = 100; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
            ms += unit * (uint64_t)(**at - '0');
    *out_ms = seconds * 1000 + ms;
    return take_char(at, ',');
}

static inline bool take_op(const char **at, enum request_op *out)
{
    static const char *const names[] = {
        [REQUEST_GET] = "get,",
        [REQUEST_SET] = "set,",
        [REQUEST_DELETE] = "delete,",
    };
    for (unsigned op = 0; op < sizeof names / sizeof names[0]; op++) {
        size_t len = strlen(names[op]);
        if (strncmp(*at, names[op], len) != 0)
            continue;
        *at += len;
        *out = (enum request_op)op;
        return true;
    }
    return false;
}

/* `end` distinguishes a NUL inside the line from the one after it. */
static inline bool parse_request(const char *line, const char *end, struct request *out)
{
    uint32_t ttl_s = 0;
    const char *at = line;
    bool ok = take_time(&at, &out->time_ms) && take_u32(&at, ',', &out->id) && take_u32(&at, ',', &out->key_size) &&
              take_u32(&at, ',', &out->value_size) && take_op(&at, &out->op) && take_u32(&at, '\0', &ttl_s);
    out->ttl_ms = UINT64_C(1000) * ttl_s;
    return ok && at == end + 1;
}

static inline bool trace_next_csv(struct trace *trace, struct request *out)
{
    char *end;
    const char *line = trace_next_line(trace, &end);
    if (line == NULL)
        return false;
    if (!parse_request(line, end, out)) {
        trace_line_error(trace, "not a line of " TRACE_CSV_HEADER);
        return false;
    }
    return true;
}

static inline bool trace_next_id(struct trace *trace, struct request *out)
{
    size_t rest;
    while ((rest = trace->end - trace->at) < 4) {
        if (trace_refill(trace))
            continue;
        if (trace->error[0] == '\0' && rest > 0)
            snprintf(trace->error, sizeof trace->error, "%s: %zu bytes at the end, behind %" PRIu64 " ids, are no id",
                     trace->path, rest, trace->count);
        return false;
    }
    const unsigned char *id = (const unsigned char *)trace->bytes + trace->at;
    trace->at += 4;
    trace->count++;
    *out = (struct request){ .key_size = trace->ids_key_size, .value_size = trace->ids_value_size, .op = REQUEST_GET };
    out->id = (uint32_t)id[0] | (uint32_t)id[1] << 8 | (uint32_t)id[2] << 16 | (uint32_t)id[3] << 24;
    return true;
}

/* Returns false on an error: see trace->error. The path must outlive the trace. */
static inline bool trace_open(struct trace *trace, const char *path, uint32_t ids_key_size, uint32_t ids_value_size)
{
    trace->path = path;
    trace->is_csv = ends_with(path, ".csv") || ends_with(path, ".csv.zst");
    trace->ids_key_size = ids_key_size;
    trace->ids_value_size = ids_value_size;
    trace->count = trace->at = trace->end = 0;
    trace->error[0] = '\0';
    if (!stream_open(&trace->stream, path)) {
        snprintf(trace->error, sizeof trace->error, "%s: %s", path, trace->stream.error);
        return false;
    }
    if (!trace->is_csv)
        return true;
    char *end;
    const char *header = trace_next_line(trace, &end);
    if (header != NULL && strcmp(header, TRACE_CSV_HEADER) == 0)
        return true;
    if (trace->error[0] == '\0') {
        trace->count = 1;
        trace_line_error(trace, "the first line is not " TRACE_CSV_HEADER);
    }
    stream_close(&trace->stream);
    return false;
}

static inline void trace_close(struct trace *trace)
{
    stream_close(&trace->stream);
}

/* Reads up to `max` requests. Fewer mean the end, or an error: see trace->error. */
static inline size_t trace_read(struct trace *trace, struct request *out, size_t max)
{
    size_t count = 0;
    while (count < max && (trace->is_csv ? trace_next_csv(trace, &out[count]) : trace_next_id(trace, &out[count])))
        count++;
    return count;
}

#endif
