#!/bin/sh
# Runs cargo for a target without an operating system, by a Rust that can build for it. The first choice is a Rust in
# which the target is installed (`rustup target add`). The second is a Rust with the sources of its own core library
# (rustup's component rust-src, or Debian's rust-web-src), which are then built too. Of each kind, the Rust of PATH is
# preferred to the one in /usr/bin. Without either, prints what is missing and ends with status 2.
# RUST_DIRECTORIES names other directories to search. All builds for a target share one directory: core is built once.
# usage: cross.sh TARGET CARGO_COMMAND ARGUMENT...
#        cross.sh --way TARGET          prints the version and the directory of the Rust; builds nothing
#        cross.sh --one TARGET...       prints the directory of the Rust that builds most of these targets, usually
#                                       all. RUST_DIRECTORIES can name it, so that one compiler builds all targets.
set -eu
way=''
case $1 in
--way | --one)
    way=$1
    shift
    ;;
esac
targets=$*
target=$1
shift
minor_wanted=$(sed -n 's/^rust-version = "1\.\([0-9]*\).*/\1/p' "$(dirname "$0")/../../Cargo.toml")

# Whether the directory has both rustc and cargo: a cargo uses the rustc beside it.
is_rust() {
    [ -x "$(command -v "$1/rustc")" ] && [ -x "$(command -v "$1/cargo")" ] || return 1
    minor=$("$1/rustc" --version | sed -n 's/^rustc 1\.\([0-9]*\).*/\1/p')
    [ "${minor:-0}" -ge "$minor_wanted" ]
}

has_target() {
    libraries=$("$1/rustc" --print target-libdir --target "$target" 2>/dev/null) || return 1
    ls "$libraries"/libcore-*.rlib >/dev/null 2>&1
}

has_source() { [ -f "$("$1/rustc" --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs" ]; }

directories=${RUST_DIRECTORIES:-$(dirname "$(command -v rustc || echo /usr/bin/rustc)") /usr/bin}

# first TEST: the first Rust that passes it
first() {
    for bin in $directories; do
        if is_rust "$bin" && "$1" "$bin"; then
            echo "$bin"
            return
        fi
    done
}

# The Rust that builds the most targets. Of several, the one with the most installed; of several, the first.
one_for_all() {
    best='' most=0
    for bin in $directories; do
        is_rust "$bin" || continue
        score=0
        for target in $targets; do
            if has_target "$bin"; then
                score=$((score + 1001))
            elif has_source "$bin"; then
                score=$((score + 1000))
            fi
        done
        [ $score -le $most ] || { most=$score && best=$bin; }
    done
    echo "$best"
}

if [ "$way" = --one ]; then
    one_for_all
    exit 0
fi

bin=$(first has_target)
core=installed
if [ -z "$bin" ]; then
    bin=$(first has_source)
    core=source
fi
if [ -z "$bin" ]; then
    echo "no Rust here builds for $target: 'rustup target add $target', or on Debian" \
        "'apt-get install rustc-web cargo-web rust-web-src' (1.$minor_wanted or later)" >&2
    exit 2
fi
if [ -n "$way" ]; then
    echo "$("$bin/rustc" --version | cut -d ' ' -f 1,2) of $bin, core $core"
    exit 0
fi

command=$1
shift
if [ "$core" = source ]; then
    set -- -Z build-std=core,alloc,compiler_builtins -Z build-std-features=compiler-builtins-mem "$@"
fi
# A released rustc accepts -Z only with RUSTC_BOOTSTRAP.
export RUSTC_BOOTSTRAP=1 RUSTC="$bin/rustc" PATH="$bin:$PATH"
exec "$bin/cargo" "$command" --target "$target" --target-dir "target/firmware-build/$target" "$@"
