#!/bin/sh
# Makes target/testcrate, or the directory that is named: this package without what only benchmarks and the header's test need, so that tests build
# in seconds where everything is built anew (other machines, sanitizers); and with the C interface as a static
# library over std, which needs no panic handler of its own: examples/libarchive.a.
set -eu
cd "$(dirname "$0")/../.."
to=${1:-target/testcrate}
mkdir -p "$to"

awk '
    /^\[/ { keep = !/^\[dev-dependencies/ && !/^\[target.*loom/ && !/^\[\[bench/ }
    keep { print }
    END {
        print "\n[[example]]\nname = \"archive\"\npath = \"archive.rs\"\ncrate-type = [\"staticlib\"]"
    }' Cargo.toml >"$to/Cargo.toml.new"
cmp -s "$to/Cargo.toml.new" "$to/Cargo.toml" || mv "$to/Cargo.toml.new" "$to/Cargo.toml"
cp Cargo.lock "$to/"
for name in src tests README.md; do
    ln -sfn "$PWD/$name" "$to/$name"
done
printf '%s\n' '//! The C interface, over std.' 'pub use larder::ffi;' >"$to/archive.rs"
