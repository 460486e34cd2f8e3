/* The functions that larder needs in an image without a C library: mem*, on Arm also by the names of its run-time
 * ABI. */
#include <stddef.h>

void *memmove(void *to, const void *from, size_t len)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t < f) {
        for (size_t i = 0; i < len; i++)
            t[i] = f[i];
    } else {
        while (len-- > 0)
            t[len] = f[len];
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    for (size_t i = 0; i < len; i++)
        t[i] = f[i];
    return to;
}

void *memset(void *to, int byte, size_t len)
{
    unsigned char *t = to;
    for (size_t i = 0; i < len; i++)
        t[i] = (unsigned char)byte;
    return to;
}

int memcmp(const void *left, const void *right, size_t len)
{
    const unsigned char *l = left, *r = right;
    for (size_t i = 0; i < len; i++) {
        if (l[i] != r[i])
            return l[i] - r[i];
    }
    return 0;
}

int bcmp(const void *left, const void *right, size_t len) __attribute__((alias("memcmp")));

#ifdef __arm__
/* The digit is the alignment. __aeabi_memset has length and byte in the other order. */
void *__aeabi_memcpy(void *restrict, const void *restrict, size_t) __attribute__((alias("memcpy")));
void *__aeabi_memcpy4(void *restrict, const void *restrict, size_t) __attribute__((alias("memcpy")));
void *__aeabi_memcpy8(void *restrict, const void *restrict, size_t) __attribute__((alias("memcpy")));
void *__aeabi_memmove(void *, const void *, size_t) __attribute__((alias("memmove")));
void *__aeabi_memmove4(void *, const void *, size_t) __attribute__((alias("memmove")));
void *__aeabi_memmove8(void *, const void *, size_t) __attribute__((alias("memmove")));

void __aeabi_memset(void *to, size_t len, int byte) { memset(to, byte, len); }
void __aeabi_memset4(void *, size_t, int) __attribute__((alias("__aeabi_memset")));
void __aeabi_memset8(void *, size_t, int) __attribute__((alias("__aeabi_memset")));

void __aeabi_memclr(void *to, size_t len) { memset(to, 0, len); }
void __aeabi_memclr4(void *, size_t) __attribute__((alias("__aeabi_memclr")));
void __aeabi_memclr8(void *, size_t) __attribute__((alias("__aeabi_memclr")));
#endif
