#!/bin/sh
# Builds larder for firmware: target/firmware/TARGET/liblarder.a, one object that exports larder_* alone, and
# liblarder-nolibc.a beside it (see onelib.sh). A target that cannot be built does not stop the others.
# Ends with 1 if a build failed, with 2 if a tool is missing, and names the tool.
# usage: [TARGETS='...'] firmware.sh
set -eu
cd "$(dirname "$0")/../.."
. tests/tools/target.sh
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
status=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "firmware: $*"; }

# build TARGET: status 0, 1 or 2, as above
build() {
    target "$1" || return 2
    case $1 in *-none-*) RUST_DIRECTORIES=$one ;; *) RUST_DIRECTORIES=$given ;; esac
    command -v "${prefix}ld" >/dev/null || {
        say "$1: ${prefix}ld is missing: on Debian, apt-get install $packages" >&2
        return 2
    }
    rust=$(sh tests/tools/cross.sh --way "$1") || return 2
    say "$1: by $rust"
    # The sizes of stack frames are in a section that tests/tools/stack.py reads and onelib.sh leaves out.
    sh tests/tools/cross.sh "$1" rustc --quiet --profile $profile --lib --crate-type staticlib \
        --no-default-features --features $features -- -Z emit-stack-sizes || return 1
    sh tests/tools/onelib.sh "$built/$profile/liblarder.a" "target/firmware/$1" "$version" "$1" ||
        return 1
    say "$1: target/firmware/$1/liblarder.a"
}

TARGETS=${TARGETS:-$TARGETS_FIRMWARE}
given=${RUST_DIRECTORIES:-}
one=$(rust_of_cores $TARGETS)
export RUST_DIRECTORIES

# lane TARGET...: builds them one after the other; the results are in $work
lane() {
    for name; do
        result=0
        build "$name" || result=$?
        echo $result >"$work/$name"
    done
}

# Two at a time: most of a build is one thread's.
lane $(printf '%s\n' $TARGETS | sed -n 'p;n') &
lane $(printf '%s\n' $TARGETS | sed -n 'n;p')
wait
for name in $TARGETS; do
    case $(cat "$work/$name") in
    0) ;;
    1) say "$name: FAILED" >&2 && status=1 ;;
    *) say "$name: not built" >&2 && [ "$status" -eq 1 ] || status=2 ;;
    esac
done
exit $status
