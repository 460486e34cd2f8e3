#!/bin/sh
# Tests on other machines under QEMU's user mode: with words of 32 bits and the low byte first (Arm), and with the high
# byte first (PowerPC). Runs the Rust tests, and the C programs with a library for that machine. Debian's cargo builds
# Rust's own library for them, since there is no prebuilt one. Prints the counts at the end.
# Tests with a million items have the same result on every machine, so they are left out. s390x, with 64 bits and the
# high byte first, runs only if named. For FreeBSD and macOS, which do not run here, the library is compiled.
# usage: run.sh [armv7] [powerpc] [s390x] [freebsd] [macos]     default: all but s390x
set -eu
cd "$(dirname "$0")/../.."
built=$PWD/target/hosts
# Of its own: machines are tested side by side.
out=$built/of-${1:-both}
. tests/tools/steps.sh

RUST_TESTS='abi attach expiry hostile limit lru model monitor pins reentry set_time sizing'
C_PROGRAMS=$(cd tests/c && ls bad_input_*.c behaviour_*.c | sed 's/\.c$//')
CFLAGS='-std=c99 -O1 -g -Wall -Wextra -Werror -Iinclude -Itests/c'
rust_source=/usr/lib/rustlib/src/rust/library/Cargo.lock

# Debian's tools: without this, rustup's tools of the same names are first in the path.
export RUSTC_BOOTSTRAP=1 PATH="/usr/bin:$PATH"
export CARGO_PROFILE_DEV_PANIC=unwind CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0

# on TARGET GNU QEMU COMMAND ARGUMENT...: cargo's command for that machine
on() {
    target=$1 gnu=$2 qemu=$3 command=$4
    shift 4
    variable=CARGO_TARGET_$(echo "$target" | tr a-z- A-Z_)
    (cd "$out/crate" && env "${variable}_LINKER=$gnu-gcc" "${variable}_RUNNER=$qemu -L /usr/$gnu" \
        timeout 1800 /usr/bin/cargo "$command" -Z build-std --target "$target" --target-dir "$built/$target" "$@" \
        </dev/null)
}

# c_program TARGET GNU QEMU NAME
c_program() {
    archive=$built/$1/$1/debug/examples/libarchive.a
    "$2-gcc" $CFLAGS "tests/c/$4.c" -o "$out/$4-$1" "$archive" -lpthread -lm -ldl &&
        limited "$3" -L "/usr/$2" "$out/$4-$1" quick
}

# is_there ABOUT TOOL...: whether there is what a machine needs; else its tests are skipped
is_there() {
    about=$1
    shift
    for tool in /usr/bin/cargo /usr/bin/rustc "$@"; do
        has "$tool" || { skip "$about: no $tool"; return 1; }
    done
    [ -e "$rust_source" ] || { skip "$about: no $rust_source"; return 1; }
}

# compiles TARGET: the library with the C interface, without a warning
compiles() {
    (cd "$out/crate" && timeout 1800 /usr/bin/cargo check -Z build-std=core,alloc --target "$1" --lib \
        --features capi --target-dir "$built/$1" </dev/null) 2>&1 | tee "$out/$1.log"
    grep -q '^    Finished' "$out/$1.log" && ! grep '^warning' "$out/$1.log"
}

# system TARGET ABOUT
system() { ! is_there "$2" || step "$2: the library compiles" compiles "$1"; }

# host TARGET GNU QEMU ABOUT
host() {
    target=$1 gnu=$2 qemu=$3
    is_there "$4" "$gnu-gcc" "$qemu" || return 0
    step "$4: build" on "$target" "$gnu" "$qemu" test --no-run --lib $(printf -- '--test %s ' $RUST_TESTS)
    step "$4: unit tests" on "$target" "$gnu" "$qemu" test --lib
    for test in $RUST_TESTS; do
        step "$4: $test" on "$target" "$gnu" "$qemu" test --test "$test" -- --skip a_million
    done
    step "$4: library for C" on "$target" "$gnu" "$qemu" build --example archive
    for program in $C_PROGRAMS; do
        step "$4: $program" c_program "$target" "$gnu" "$qemu" "$program"
    done
}

export LARDER_MODEL_OPS=0.02 LARDER_HOSTILE_IMAGES=500
sh tests/tools/testcrate.sh "$out/crate"
for target in ${*:-armv7 powerpc freebsd macos}; do
    case $target in
    armv7) host armv7-unknown-linux-gnueabihf arm-linux-gnueabihf qemu-arm 'Arm, 32 bits, low byte first' ;;
    powerpc) host powerpc-unknown-linux-gnu powerpc-linux-gnu qemu-ppc 'PowerPC, 32 bits, high byte first' ;;
    s390x) host s390x-unknown-linux-gnu s390x-linux-gnu qemu-s390x 'S/390, 64 bits, high byte first' ;;
    freebsd) system x86_64-unknown-freebsd FreeBSD ;;
    macos) system aarch64-apple-darwin macOS ;;
    *) echo "hosts: no such machine: $target" >&2; exit 2 ;;
    esac
done

close hosts
