#!/bin/sh
# Makes target/testcrate, or the named directory: this package without the dependencies of larder-tool, the benchmarks
# and the header's test. So tests build in seconds where everything is rebuilt (other machines, sanitizers). It also has
# the C interface as a static library over std, which needs no panic handler: examples/libarchive.a.
# usage: testcrate.sh [DIRECTORY [loom]]     loom: with the dependency of the tests of interleavings
set -eu
cd "$(dirname "$0")/../.."
to=${1:-target/testcrate}
mkdir -p "$to"

awk -v more="${2:-none}" '
    /^\[/ { keep = !/^\[dev-dependencies/ && !/^\[target.*none/ && !/^\[\[(bench|bin)/ }
    /^\[target.*loom/ { keep = more == "loom" }
    /^tool = \[/ { tool = 1 }
    keep && !tool { print }
    tool && /\]$/ { tool = 0 }
    END {
        print "\n[[example]]\nname = \"archive\"\npath = \"archive.rs\"\ncrate-type = [\"staticlib\"]"
    }' Cargo.toml >"$to/Cargo.toml.new"
cmp -s "$to/Cargo.toml.new" "$to/Cargo.toml" || mv "$to/Cargo.toml.new" "$to/Cargo.toml"
cp Cargo.lock "$to/"
for name in src tests README.md; do
    ln -sfn "$PWD/$name" "$to/$name"
done
printf '%s\n' '//! The C interface, over std.' 'pub use larder::ffi;' >"$to/archive.rs"
