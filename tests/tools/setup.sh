#!/bin/sh
# Installs what the build and the tests need and is missing: through apt-get where there is one, else it says what
# to install. Rust itself is not installed. Quick, and changes nothing, where all is there.
set -eu

missing=''  # Debian packages
lacking=''  # what a system without apt-get is told

# need PACKAGE TEST...: the package is missing where the test fails
need() {
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

has() { command -v "$1"; }
compiles() { printf '#include <%s>\nint main(void) { return 0; }\n' "$1" | cc -x c -fsyntax-only -; }

if ! has cargo >/dev/null; then
    echo 'setup: cargo is missing: install Rust (rustc and cargo, with clippy and rustfmt) first' >&2
    exit 1
fi
for tool in clippy fmt; do
    cargo $tool --version >/dev/null 2>&1 || echo "setup: cargo $tool is missing; 'make test' needs it"
done

need gcc has cc
need gcc has gcc
need libc6-dev compiles stdio.h
need binutils has objcopy
need g++ has g++
need make has make
need pkg-config has pkg-config
need libzstd-dev compiles zstd.h
need valgrind has valgrind

if [ -z "$missing" ]; then
    echo 'setup: everything is there'
    exit 0
fi

packages=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
if command -v apt-get >/dev/null; then
    as_root=''
    if [ "$(id -u)" -ne 0 ]; then
        as_root=sudo
        command -v sudo >/dev/null || { echo "setup: as root, install: $packages" >&2; exit 1; }
    fi
    echo "setup: installing $packages"
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get -o DPkg::Lock::Timeout=600 -q update
    $as_root apt-get -o DPkg::Lock::Timeout=600 -q install -y --no-install-recommends $packages
    exit 0
fi

echo "setup: there is no apt-get here. Missing, by their Debian names: $packages"
for tool in cc objcopy; do
    command -v $tool >/dev/null || lacking="$lacking $tool"
done
if [ -n "$lacking" ]; then
    echo "setup: nothing can be built without:$lacking" >&2
    exit 1
fi
echo 'setup: going on; tests that need them are skipped'
