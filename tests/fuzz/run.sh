#!/bin/sh
# Runs each fuzz target, or those named, for some seconds: sh tests/fuzz/run.sh SECONDS [TARGET..]
#
# Needs only a nightly compiler. The flags are those of cargo-fuzz, so `cargo fuzz run --fuzz-dir tests/fuzz TARGET`
# does the same. The failing inputs are in target/fuzz.
set -eu

seconds=$1
shift
[ $# -gt 0 ] || set -- operations attach c_interface traces

cd "$(dirname "$0")/../.."
out=target/fuzz
. tests/tools/steps.sh

coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares'

build() {
    RUSTFLAGS="$(echo $coverage) --cfg fuzzing -Zsanitizer=address -Cdebug-assertions -Ccodegen-units=1" \
        cargo +nightly build --quiet --release --locked --manifest-path tests/fuzz/Cargo.toml \
        --target "$target" --target-dir target/fuzz
}

fuzz() {
    mkdir -p "$out/corpus/$1"
    seeds=tests/fuzz/corpus/$1
    [ -d "$seeds" ] || seeds=''
    "$out/$target/release/$1" -max_total_time="$seconds" -max_len=1500 -timeout=30 \
        -artifact_prefix="$out/$1-" "$out/corpus/$1" $seeds
}

if ! cargo +nightly --version >/dev/null 2>&1; then
    skip 'fuzz targets: no nightly compiler (rustup toolchain install nightly)'
    close fuzz
    exit
fi
target=$(rustc +nightly -vV | sed -n 's/^host: //p')
step 'fuzz targets build' build
for name; do
    step "fuzz $name, $seconds s" fuzz "$name"
    sed -n 's/^Done/      &/p' "$out/log"
done
close fuzz
