#!/bin/sh
# Instructions for allocating a block of 100 to 1,099 bytes and freeing the oldest of 256: from a pool, an arena and the
# C library's heap.
# Prints the table of docs/questions.md. Needs `make lib`, a C compiler and valgrind.
set -eu
cd "$(dirname "$0")/../.."
out=target/calls
mkdir -p "$out"
command -v valgrind >/dev/null || { echo 'bench-pool: needs valgrind'; exit 1; }
${CC:-cc} -std=c11 -O2 -g -Wall -Wextra -Iinclude benches/calls/pool.c -o "$out/pool" \
    target/lib/liblarder.a -lpthread -lm

counted() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$out/pool" "$1" "$2" 2>&1 | sed -n 's/.*Collected : //p'
}

row() { # KIND NAME: the difference of two runs leaves out what starts the program
    echo "| $2 | $((($(counted "$1" 21000) - $(counted "$1" 1000)) / 20000)) |"
}

echo '| a block of 100 to 1,099 bytes allocated, another freed | instructions |'
echo '|---|---|'
row pool 'pool: zeroed, locked, stamped with the time'
row keep 'the same with `LARDER_KEEP_ON_FREE`'
row bare 'the same with `LARDER_SINGLE_THREAD` and no clock'
row arena 'arena: allocated, and freed with all others'
row malloc 'malloc and free'
row calloc 'calloc and free'
