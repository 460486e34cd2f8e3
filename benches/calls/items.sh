#!/bin/sh
# Instructions of calls that return, change or reserve more than a get or a set, beside those of get and set. Measured
# in a cache without tags and versions, and in one with both. Needs `make lib`, a C compiler and valgrind.
set -eu
cd "$(dirname "$0")/../.."
out=target/calls
mkdir -p "$out"
${CC:-cc} -std=c11 -O2 -g -Wall -Wextra -Iinclude benches/calls/items.c -o "$out/items" target/lib/liblarder.a \
    -lpthread -lm

# count KIND FLAGS N
count() {
    valgrind -q --tool=callgrind --callgrind-out-file="$out/items.out" "$out/items" "$1" "$2" "$3"
    awk '/^(summary|totals): / { sum = $2 } END { print sum }' "$out/items.out"
}

# each KIND FLAGS: instructions of a call
each() { echo "$(($(count "$1" "$2" 30000) - $(count "$1" "$2" 10000)))" | awk '{ print int($1 / 20000 + 0.5) }'; }

printf '\n| instructions of | plain | with tags and versions |\n|---|---|---|\n'
for kind in get get_item set put 'lease' 'lease+fill' 'set+append'; do
    echo "| $kind | $(each "$kind" 0) | $(each "$kind" 48) |"
done
echo "| set_tag | - | $(each set_tag 48) |"
