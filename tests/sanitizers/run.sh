#!/bin/sh
# Tests under sanitizers: Rust's under AddressSanitizer; the C programs under AddressSanitizer and
# UndefinedBehaviorSanitizer, and the threads under ThreadSanitizer, both with an instrumented library. That needs a
# nightly rustc; without one, the C programs run with the normal library. Prints the counts at the end. Needs `make lib`
# first.
set -eu
cd "$(dirname "$0")/../.."
out=target/sanitizers
. tests/tools/steps.sh

host=$(rustc -vV | sed -n 's/^host: //p')
RUST_TESTS='allocator attach density expiry hostile limit lru model monitor owned pins reentry sizing threads'
CFLAGS='-std=c11 -O1 -g -Wall -Wextra -Werror -Iinclude -Itests/c'
ADDRESS='-fsanitize=address,undefined -fno-sanitize-recover=all'
export ASAN_OPTIONS=detect_stack_use_after_return=1 TSAN_OPTIONS=halt_on_error=1
export LARDER_MODEL_OPS=0.05 LARDER_HOSTILE_IMAGES=5000
export CARGO_PROFILE_DEV_PANIC=unwind CARGO_PROFILE_DEV_DEBUG=1 CARGO_INCREMENTAL=0

# nightly SANITIZER COMMAND ARGUMENT...: cargo's command, instrumented
nightly() {
    sanitizer=$1 command=$2
    shift 2
    (cd target/testcrate && RUSTFLAGS="-Zsanitizer=$sanitizer ${RUST_FLAGS:-}" cargo +nightly "$command" \
        --target "$host" --target-dir "../sanitizers/$sanitizer" "$@")
}

archive_of() { echo "$out/$1/$host/debug/examples/libarchive.a"; }

# rust_test NAME: a file of tests/, under AddressSanitizer
rust_test() {
    limited_nightly test --test "$1"
}

limited_nightly() { nightly address "$@" </dev/null; }

# c_program PROGRAM FLAGS ARCHIVE SOURCE...
c_program() {
    program=$1 flags=$2 archive=$3
    shift 3
    gcc $CFLAGS $flags "$@" "$archive" -lpthread -lm -ldl -o "$out/$program"
}

run_under_address() {
    c_program "$1" "$ADDRESS" "$library" "tests/c/$1.c" && limited "$out/$1" quick
}

run_under_thread() {
    c_program "$1-thread" '-fno-builtin -fsanitize=thread' "$(archive_of thread)" "tests/c/$1.c" \
        tests/sanitizers/tsan_names.c && limited "$out/$1-thread" quick
}

# sees WHAT PROGRAM REPORT WHERE: the planted mistake WHAT is reported as REPORT, and the report contains WHERE
sees() {
    if limited "$out/$2" "$1" >"$out/planted.log" 2>&1; then
        echo "nothing was seen"
        return 1
    fi
    grep "$3" "$out/planted.log" && grep "$4" "$out/planted.log"
}

sees_under_address() {
    c_program planted "$ADDRESS" "$library" tests/sanitizers/planted.c &&
        sees overrun planted 'AddressSanitizer: heap-buffer-overflow' 'in .*larder' &&
        sees overflow planted 'signed integer overflow' planted.c
}

sees_under_thread() {
    c_program planted-thread '-fno-builtin -fsanitize=thread' "$(archive_of thread)" tests/sanitizers/planted.c \
        tests/sanitizers/tsan_names.c && sees race planted-thread 'ThreadSanitizer: data race' 'larder_cache_set'
}

can() { printf 'int main(void) { return 0; }\n' | gcc -x c "$1" - -o "$out/can" 2>/dev/null; }

sh tests/tools/testcrate.sh
if ! has cargo || ! cargo +nightly --version >/dev/null 2>&1; then
    library=target/lib/liblarder.a
    skip 'Rust tests under AddressSanitizer: no nightly toolchain'
    skip 'a library that is instrumented: no nightly toolchain; the C programs run with it as it is'
else
    library=$(archive_of address)
    step 'Rust tests build with AddressSanitizer' nightly address test --no-run --lib \
        $(printf -- '--test %s ' $RUST_TESTS)
    step 'unit tests under AddressSanitizer' limited_nightly test --lib
    for test in $RUST_TESTS; do
        step "$test under AddressSanitizer" rust_test "$test"
    done
    step 'library with AddressSanitizer' nightly address build --example archive
fi

if ! can -fsanitize=address; then
    skip 'C programs under AddressSanitizer: gcc has none here'
else
    for program in $(cd tests/c && ls *.c | sed 's/\.c$//'); do
        step "$program under AddressSanitizer" run_under_address "$program"
    done
    [ "$library" = target/lib/liblarder.a ] || step 'AddressSanitizer sees what is planted' sees_under_address
fi

if ! cargo +nightly --version >/dev/null 2>&1 || ! can -fsanitize=thread; then
    skip 'threads under ThreadSanitizer: no nightly toolchain, or none in gcc'
else
    # Without -Cunsafe-.. rustc refuses to link with a core that is not instrumented; what it inlines is.
    RUST_FLAGS=-Cunsafe-allow-abi-mismatch=sanitizer step 'library with ThreadSanitizer' \
        nightly thread build --example archive
    for program in stress_threads stress_callbacks; do
        step "$program under ThreadSanitizer" run_under_thread "$program"
    done
    step 'ThreadSanitizer sees what is planted' sees_under_thread
fi

close sanitizers
