#!/bin/sh
# The example near_cache against real Redis servers of its own on loopback, a cluster of three, and servers that answer
# nonsense. It is built with AddressSanitizer and UndefinedBehaviorSanitizer for all cases, and with ThreadSanitizer
# for one. Each case has a minute at most, and ends what it started. Runs every step, whatever the ones before it
# said, and closes with how many passed. Needs `make lib` first; what cannot be had is skipped.
set -eu
cd "$(dirname "$0")/../.."
out=$PWD/target/near-cache
. tests/tools/steps.sh
export PYTHONDONTWRITEBYTECODE=1

hiredis_is_there() { timeout 120 sh tests/tools/hiredis.sh; }

# built NAME FLAG...: the example, as $out/NAME
built() {
    program=$1
    shift
    cc -std=c11 -Wall -Wextra -Wpedantic -Werror -g -Iinclude -isystem target/hiredis/include "$@" \
        c-examples/near_cache.c -o "$out/$program" target/lib/liblarder.a target/hiredis/libhiredis.a -lpthread -lm
}

case_passes() { timeout 60 python3 tests/near_cache/main.py "$1" </dev/null; }

without_races() {
    TSAN_OPTIONS="suppressions=$PWD/tests/near_cache/tsan.supp" NEAR_CACHE="$out/thread" case_passes "$1"
}

clang_tidy_finds_nothing() {
    clang-tidy --quiet --config-file=tests/.clang-tidy c-examples/near_cache.c -- -std=c11 \
        -Xclang -analyzer-config -Xclang max-nodes=20000 -Iinclude -isystem target/hiredis/include
}

if ! has redis-server && ! has redis-check-rdb; then
    skip 'ALL TESTS of near_cache: no Redis (Debian: redis-tools)'
elif ! hiredis_is_there >"$out/hiredis" 2>&1; then
    tail -n 3 "$out/hiredis" | sed 's/^/      /'
    skip 'ALL TESTS of near_cache: pip could not fetch hiredis (tests/near_cache/requirements.txt): no network?'
else
    export NEAR_CACHE="$out/watched"
    step 'near_cache is built' built plain -O2
    step 'near_cache is built with AddressSanitizer' built watched -O1 -fsanitize=address,undefined \
        -fno-sanitize-recover=all
    step 'near_cache is built with ThreadSanitizer' built thread -O1 -fsanitize=thread
    for case in $(python3 tests/near_cache/main.py); do
        step "near_cache: $(echo "$case" | tr _ ' ')" case_passes "$case"
    done
    step 'near_cache: no races' without_races two_processes_of_threads_end_with_what_redis_has
    if has clang-tidy; then
        step 'clang-tidy finds nothing in near_cache.c' clang_tidy_finds_nothing
    else
        skip 'static analysis of near_cache.c by clang-tidy: it is not there'
    fi
fi

close nearcache
