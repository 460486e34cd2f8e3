#!/bin/sh
# Instructions of a get that the simulations for larder_cache_advise take, by the items of the cache. Needs `make
# lib`, a C compiler and valgrind.
set -eu
cd "$(dirname "$0")/../.."
out=target/calls
mkdir -p "$out"
${CC:-cc} -std=c11 -O2 -g -Wall -Wextra -Iinclude benches/calls/advice.c -o "$out/advice" target/lib/liblarder.a \
    -lpthread -lm

# count ITEMS POLICY FLAGS N
count() {
    valgrind -q --tool=callgrind --callgrind-out-file="$out/advice.out" "$out/advice" "$@"
    awk '/^(summary|totals): / { sum = $2 } END { print sum }' "$out/advice.out"
}

# each ITEMS POLICY FLAGS: instructions of a get
each() { echo "$((($(count "$@" 120000) - $(count "$@" 20000)) / 100000))"; }

printf '\n| items | policy | get | without advice | cost |\n|---|---|---|---|---|\n'
for items in 3000 6000 20000 100000; do
    for policy in 0 1; do
        with=$(each "$items" $policy 0) without=$(each "$items" $policy 64)
        echo "$items $policy $with $without" | awk '{
            printf "| %d | %s | %d | %d | %.1f%% |\n", $1, $2 ? "exact LRU" : "default", $3, $4, 100 * ($3 / $4 - 1) }'
    done
done
