/* words.h: words of a command line, numbers and base64, as memcached's text protocol writes them. */
#ifndef MEMCACHED_WORDS_H
#define MEMCACHED_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KEY_LEN_MAX 250
#define WORDS_MAX 24 /* a line with more has as many */

struct word {
    char *at;
    size_t len;
};

struct words {
    struct word word[WORDS_MAX];
    size_t count;
};

/* Splits a line without its end at spaces. */
static inline void split_words(char *line, size_t len, struct words *out)
{
    char *at = line, *end = line + len;
    out->count = 0;
    while (out->count < WORDS_MAX) {
        while (at < end && *at == ' ')
            at++;
        if (at == end)
            return;
        char *word_end = memchr(at, ' ', (size_t)(end - at));
        if (word_end == NULL)
            word_end = end;
        out->word[out->count++] = (struct word){ at, (size_t)(word_end - at) };
        at = word_end;
    }
}

static inline bool word_is(const struct word *word, const char *text)
{
    return strlen(text) == word->len && memcmp(word->at, text, word->len) == 0;
}

static inline bool last_is_noreply(const struct words *words)
{
    return word_is(&words->word[words->count - 1], "noreply");
}

/* ---- numbers ---- */

/* Reads digits up to the end, or to the first space. False for anything else, and above 2^64 - 1. */
static inline bool read_u64(const char *at, size_t len, uint64_t *out)
{
    uint64_t number = 0;
    size_t i = 0;
    for (; i < len && at[i] >= '0' && at[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(at[i] - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (i == 0 || (i < len && at[i] != ' '))
        return false;
    *out = number;
    return true;
}

static inline bool word_u64(const struct word *word, size_t skip, uint64_t *out)
{
    return word->len > skip && read_u64(word->at + skip, word->len - skip, out);
}

static inline bool word_u32(const struct word *word, size_t skip, uint32_t *out)
{
    uint64_t number;
    if (!word_u64(word, skip, &number) || number > UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

static inline bool word_i32(const struct word *word, size_t skip, int32_t *out)
{
    uint64_t number;
    bool is_negative = word->len > skip && word->at[skip] == '-';
    if (!word_u64(word, skip + is_negative, &number) || number > (uint64_t)INT32_MAX + is_negative)
        return false;
    *out = (int32_t)(is_negative ? -(int64_t)number : (int64_t)number);
    return true;
}

/* Writes a number without an end; returns behind it. */
static inline char *put_u64(char *at, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static inline char *put_bytes(char *at, const char *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static inline char *put_text(char *at, const char *text)
{
    return put_bytes(at, text, strlen(text));
}

/* ---- base64, for binary keys of the meta commands ---- */

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Writes at most 3 bytes for 4 of the text. Returns the length; 0 where the text is not base64. */
static inline size_t base64_decode(const char *text, size_t len, char *bytes)
{
    size_t out = 0, padding = 0;
    if (len == 0 || len % 4 != 0)
        return 0;
    while (padding < 2 && text[len - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t bits = 0;
        size_t symbols = i + 4 < len ? 4 : 4 - padding;
        for (size_t j = 0; j < 4; j++) {
            const char *found = j < symbols && text[i + j] != '\0' ? strchr(BASE64, text[i + j]) : BASE64;
            if (found == NULL || (j < symbols && text[i + j] == '\0'))
                return 0;
            bits = bits << 6 | (uint32_t)(found - BASE64);
        }
        for (size_t j = 0; j + 1 < symbols; j++)
            bytes[out++] = (char)(bits >> (16 - 8 * j));
    }
    return out;
}

static inline char *put_base64(char *at, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t bits = (uint32_t)(unsigned char)bytes[i] << 16;
        if (left > 1)
            bits |= (uint32_t)(unsigned char)bytes[i + 1] << 8;
        if (left > 2)
            bits |= (uint32_t)(unsigned char)bytes[i + 2];
        *at++ = BASE64[bits >> 18];
        *at++ = BASE64[bits >> 12 & 63];
        at[0] = at[1] = '=';
        if (left > 1)
            at[0] = BASE64[bits >> 6 & 63];
        if (left > 2)
            at[1] = BASE64[bits & 63];
        at += 2;
    }
    return at;
}

#endif
