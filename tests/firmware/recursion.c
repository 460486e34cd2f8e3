/* recursion.c: functions that tests/tools/stack.py must refuse, and functions that it must not. CASE is the function
 * that larder_test calls. run.sh has the expected answers. This file is compiled but never run. */

#ifndef CASE
#define CASE bounded
#endif

typedef unsigned step(unsigned n, void *next);

/* Neither inlined nor cloned, so that the calls are those written here. */
#define APART __attribute__((noipa))

unsigned larder_test(unsigned n);

/* stack.py reads the frame of a larder_* function from the Rust compiler's table; this is such a line. */
__asm__(".section .stack_sizes, \"o\", %progbits, .text.larder_test\n"
        ".long .text.larder_test\n"
        ".byte 16\n"
        ".text\n");

/* ---- no recursion ---- */

APART static unsigned twice(unsigned n, void *next)
{
    (void)next;
    return 2 * n;
}

APART static unsigned call(unsigned n, void *next)
{
    return 1 + ((step *)next)(n, 0);
}

/* Calls by name, then through a pointer that was passed down. */
APART static unsigned bounded(unsigned n)
{
    return 1 + call(n, (void *)twice);
}

/* ---- recursion ---- */

APART static unsigned by_name(unsigned n)
{
    return n == 0 ? 0 : 1 + by_name(n - 1);
}

static unsigned odd(unsigned n);

APART static unsigned even(unsigned n)
{
    return n == 0 ? 1 : 1 + odd(n - 1);
}

APART static unsigned odd(unsigned n)
{
    return n == 0 ? 0 : 1 + even(n - 1);
}

/* Each calls the function passed to it, and passes itself. */
APART static unsigned ping(unsigned n, void *next)
{
    return n == 0 ? 0 : 1 + ((step *)next)(n - 1, (void *)ping);
}

APART static unsigned pong(unsigned n, void *next)
{
    return n == 0 ? 1 : 1 + ((step *)next)(n - 1, (void *)pong);
}

APART static unsigned through_pointers(unsigned n)
{
    return 1 + ping(n, (void *)pong);
}

/* Calls there by name, and back through a pointer. */
static unsigned back(unsigned n, void *next);

APART static unsigned there(unsigned n)
{
    return 1 + call(n, (void *)back);
}

APART static unsigned back(unsigned n, void *next)
{
    (void)next;
    return n == 0 ? 0 : 1 + there(n - 1);
}

/* The pointer is in a constant. */
static unsigned from_table(unsigned n);
static unsigned (*const volatile table[])(unsigned) = { from_table };

APART static unsigned from_table(unsigned n)
{
    return n == 0 ? 0 : 1 + table[0](n - 1);
}

/* ---- an address that is kept ---- */

static void *volatile kept;

APART static void keep(void)
{
    kept = (void *)twice;
}

APART static unsigned later(unsigned n)
{
    keep();
    return 1 + call(n, kept);
}

unsigned larder_test(unsigned n)
{
    return 1 + CASE(n);
}
