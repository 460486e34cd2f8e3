#!/bin/sh
# Runs each fuzz target, or those named, for some seconds: sh tests/fuzz/run.sh SECONDS [TARGET..]
#
# Needs a nightly compiler, and nothing else: the flags are those that cargo-fuzz would pass, so that
# `cargo fuzz run --fuzz-dir tests/fuzz TARGET` does the same. What is found lies in target/fuzz.
set -eu

seconds=$1
shift
[ $# -gt 0 ] || set -- operations attach c_interface traces

cd "$(dirname "$0")/../.."
if ! cargo +nightly --version >/dev/null 2>&1; then
	echo "SKIPPED: fuzzing needs a nightly compiler (rustup toolchain install nightly)" >&2
	exit 0
fi

target=$(rustc +nightly -vV | sed -n 's/^host: //p')
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
	-Cllvm-args=-sanitizer-coverage-trace-compares'
RUSTFLAGS="$(echo $coverage) --cfg fuzzing -Zsanitizer=address -Cdebug-assertions -Ccodegen-units=1" \
	cargo +nightly build --quiet --release --locked --manifest-path tests/fuzz/Cargo.toml \
	--target "$target" --target-dir target/fuzz

for name; do
	mkdir -p "target/fuzz/corpus/$name"
	seeds=tests/fuzz/corpus/$name
	[ -d "$seeds" ] || seeds=''
	echo "fuzz $name: $seconds s"
	log=target/fuzz/$name.log
	if ! "target/fuzz/$target/release/$name" -max_total_time="$seconds" -max_len=1500 -timeout=30 \
		-artifact_prefix="target/fuzz/$name-" "target/fuzz/corpus/$name" $seeds \
		>"$log" 2>&1; then
		tail -n 60 "$log"
		exit 1
	fi
	grep '^Done' "$log"
done
