/* stream.h: reads the bytes of a file in order. If the name ends in .zst, libzstd unpacks them. The buffers take a few
 * hundred KiB for a file of any size.
 *
 * Build with -DHAVE_ZSTD -lzstd to use libzstd. Without it, opening a .zst file fails with an error that says so. */
#ifndef STREAM_H
#define STREAM_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct unzstd;

struct stream {
    FILE *file;
    int64_t file_size;     /* as stored; 0 if it has none, as a pipe */
    struct unzstd *unzstd; /* NULL: the bytes are not packed */
    const char *error;     /* NULL: none so far */
};

static inline bool ends_with(const char *text, const char *end)
{
    size_t text_len = strlen(text), end_len = strlen(end);
    return text_len >= end_len && strcmp(text + text_len - end_len, end) == 0;
}

/* Reads the file itself. Fewer bytes than `size` mean its end or an error. */
static inline size_t stream_read_file(struct stream *stream, void *data, size_t size)
{
    size_t count = fread(data, 1, size, stream->file);
    if (count < size && ferror(stream->file))
        stream->error = strerror(errno);
    return count;
}

#ifdef HAVE_ZSTD
#include <zstd.h>

struct unzstd {
    ZSTD_DStream *context;
    ZSTD_inBuffer in;
    size_t frame_rest; /* 0: the frame read last is complete */
    unsigned char packed[1 << 16];
};

static inline void unzstd_close(struct unzstd *unzstd)
{
    if (unzstd != NULL)
        ZSTD_freeDStream(unzstd->context);
    free(unzstd);
}

static inline bool unzstd_open(struct stream *stream)
{
    struct unzstd *unzstd = calloc(1, sizeof *unzstd);
    if (unzstd != NULL)
        unzstd->context = ZSTD_createDStream();
    if (unzstd == NULL || unzstd->context == NULL) {
        unzstd_close(unzstd);
        stream->error = "no memory for libzstd";
        return false;
    }
    unzstd->in.src = unzstd->packed;
    stream->unzstd = unzstd;
    return true;
}

/* libzstd may still have unpacked bytes after it has consumed all input. So more input is read only after a call that
 * neither consumes nor produces bytes. The return value of that call is about a frame that has not started. */
static inline size_t unzstd_read(struct stream *stream, void *data, size_t size)
{
    struct unzstd *unzstd = stream->unzstd;
    ZSTD_outBuffer out = { .dst = data, .size = size, .pos = 0 };
    while (out.pos < out.size) {
        size_t eaten = unzstd->in.pos, made = out.pos;
        size_t rest = ZSTD_decompressStream(unzstd->context, &out, &unzstd->in);
        if (ZSTD_isError(rest)) {
            stream->error = ZSTD_getErrorName(rest);
            break;
        }
        if (unzstd->in.pos != eaten || out.pos != made) {
            unzstd->frame_rest = rest;
            continue;
        }
        unzstd->in.pos = 0;
        unzstd->in.size = stream_read_file(stream, unzstd->packed, sizeof unzstd->packed);
        if (unzstd->in.size == 0) {
            if (stream->error == NULL && unzstd->frame_rest != 0)
                stream->error = "the compressed data is cut short";
            break;
        }
    }
    return out.pos;
}
#else
static inline void unzstd_close(struct unzstd *unzstd)
{
    (void)unzstd;
}

static inline bool unzstd_open(struct stream *stream)
{
    stream->error = "is compressed, and this program was built without libzstd (-DHAVE_ZSTD -lzstd)";
    return false;
}

static inline size_t unzstd_read(struct stream *stream, void *data, size_t size)
{
    (void)stream;
    (void)data;
    (void)size;
    return 0;
}
#endif

static inline void stream_close(struct stream *stream)
{
    unzstd_close(stream->unzstd);
    if (stream->file != NULL)
        fclose(stream->file);
    *stream = (struct stream){ 0 };
}

/* Returns false on an error: stream->error is the cause, and nothing needs to be closed. */
static inline bool stream_open(struct stream *stream, const char *path)
{
    *stream = (struct stream){ .file = fopen(path, "rb") };
    if (stream->file == NULL) {
        stream->error = strerror(errno);
        return false;
    }
    struct stat info;
    if (fstat(fileno(stream->file), &info) == 0 && S_ISREG(info.st_mode))
        stream->file_size = info.st_size;
    if (ends_with(path, ".zst") && !unzstd_open(stream)) {
        fclose(stream->file);
        stream->file = NULL;
        return false;
    }
    return true;
}

/* Fewer bytes than `size` mean the end, or an error: see stream->error. */
static inline size_t stream_read(struct stream *stream, void *data, size_t size)
{
    if (stream->error != NULL)
        return 0;
    return stream->unzstd != NULL ? unzstd_read(stream, data, size) : stream_read_file(stream, data, size);
}

/* The percentage of the file read so far; 0 if its size is not known. */
static inline unsigned stream_percent(const struct stream *stream)
{
    off_t at = stream->file_size > 0 ? ftello(stream->file) : 0;
    return at > 0 ? (unsigned)(100.0 * (double)at / (double)stream->file_size) : 0;
}

#endif
