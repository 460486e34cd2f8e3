#!/bin/sh
# Installs missing packages for the build and the tests: by apt-get if it exists, else prints what to install. The
# host's Rust is not installed. Firmware's Rust, C compilers and emulators are installed if available; without them
# their tests are skipped. If nothing is missing, it is quick and changes nothing.
# usage: setup.sh [build] [host] [firmware] [hosts] [programs] [shared]     default: all but shared. build: for building
#        the library and C programs; host: also for the tests on this machine; hosts: for tests on other machines;
#        programs: servers and clients for the tests of whole programs; shared: what `make bench-shared` runs
set -eu
cd "$(dirname "$0")/../.."
. tests/tools/target.sh
parts=${*:-build host firmware hosts programs}

missing=''  # Debian packages
wanted=''   # packages that only some tests need
lacking=''  # needed names, printed on a system without apt-get

# need PACKAGE TEST...: the package is missing if the test fails
need() {
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

# want PACKAGE TEST...: the same for an optional package
want() {
    package=$1
    shift
    "$@" >/dev/null 2>&1 || wanted="$wanted $package"
}

has() { command -v "$1"; }
compiles() { printf '#include <%s>\nint main(void) { return 0; }\n' "$1" | cc -x c -fsyntax-only -; }
compiles_cpp() { printf '#include <%s>\n' "$1" | g++ -x c++ -fsyntax-only -; }

# Prometheus's checker, which can be unpacked from its package without the server that it belongs to.
has_promtool() { has promtool || [ -x target/promtool/promtool ]; }

links() { echo 'int main(void) { return 0; }' | "$@" -x c - -o /dev/null; }

for_build() {
    need gcc has cc
    need libc6-dev compiles stdio.h
    need binutils has objcopy
    need make has make
}

for_host() {
    for tool in clippy fmt; do
        cargo $tool --version >/dev/null 2>&1 || echo "setup: cargo $tool is missing; 'make test' needs it"
    done
    need gcc has gcc
    need g++ has g++
    need pkg-config has pkg-config
    need libzstd-dev compiles zstd.h
    need valgrind has valgrind
    want doctest-dev compiles_cpp doctest/doctest.h
    want clang has clang
    want clang-tidy has clang-tidy
    want cppcheck has cppcheck
    want cmake has cmake
    want doxygen has doxygen
    want prometheus has_promtool
    want python3-venv python3 -c 'import ensurepip'
    want chromium has chromium
    want python3-yaml sh -c "python3 -c 'import yaml' || /usr/bin/python3 -c 'import yaml'"
}

rust_for_firmware() {
    for target in $TARGETS_FIRMWARE; do
        sh tests/tools/cross.sh --way "$target" >/dev/null 2>&1 || return 1
    done
}

for_firmware() {
    rust_for_firmware || wanted="$wanted rustc-web cargo-web rust-web-src"
    want python3 has python3
    want llvm has llvm-readobj
    want gcc-arm-none-eabi has arm-none-eabi-gcc
    want libnewlib-arm-none-eabi links arm-none-eabi-gcc --specs=nano.specs --specs=nosys.specs
    want gcc-riscv64-unknown-elf has riscv64-unknown-elf-gcc
    want picolibc-riscv64-unknown-elf links riscv64-unknown-elf-gcc --specs=picolibc.specs
    want qemu-system-arm has qemu-system-arm
    want qemu-system-misc has qemu-system-riscv32
}

for_hosts() {
    [ -x /usr/bin/cargo ] && [ -e /usr/lib/rustlib/src/rust/library/Cargo.lock ] ||
        wanted="$wanted rustc-web cargo-web rust-web-src"
    want qemu-user has qemu-ppc
    want gcc-arm-linux-gnueabihf has arm-linux-gnueabihf-gcc
    want libc6-dev-armhf-cross links arm-linux-gnueabihf-gcc
    want gcc-powerpc-linux-gnu has powerpc-linux-gnu-gcc
    want libc6-dev-powerpc-cross links powerpc-linux-gnu-gcc
}

# Where an init system runs, the package of memcached starts it at port 11211; the tests take ports of their own.
for_programs() {
    want python3 has python3
    want python3-venv python3 -c 'import ensurepip'
    want memcached has memcached
    want libmemcached-tools has memccapable
    want python3-pip python3 -m pip --version
    want redis-tools has redis-check-rdb
}

# Where an init system runs, the package of nginx starts it at port 80; the benchmark takes a port of its own.
for_shared() {
    want python3 has python3
    want php-cli has php
    want php-apcu sh -c 'php -m | grep -qx apcu'
    want nginx-light test -x /usr/sbin/nginx
    want libnginx-mod-http-lua test -e /usr/lib/nginx/modules/ngx_http_lua_module.so
    want lua-resty-core test -e /usr/share/lua/5.1/resty/core.lua
}

if ! has cargo >/dev/null; then
    echo 'setup: cargo is missing: install Rust (rustc and cargo, with clippy and rustfmt) first' >&2
    exit 1
fi
for part in $parts; do
    "for_$part"
done

# ---- installing ----

if [ -z "$missing$wanted" ]; then
    echo 'setup: everything is there'
    exit 0
fi

if command -v apt-get >/dev/null; then
    as_root=''
    if [ "$(id -u)" -ne 0 ] && ! as_root=$(command -v sudo); then
        echo "setup: as root, install:$missing$wanted" >&2
        [ -z "$missing" ] && exit 0 || exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    get() { $as_root apt-get -o DPkg::Lock::Timeout=600 -q "$@"; }

    # Never removes an installed package.
    install_beside() { get install -y --no-install-recommends --no-remove "$@"; }

    # unpack PACKAGE...: unpacks packages that conflict with installed ones into target/emulators. Installs their
    # libraries.
    unpack() {
        libraries=$(apt-cache depends "$@" | awk '$1 == "Depends:" && $2 ~ /^lib/ { print $2 }' | sort -u)
        install_beside $libraries || return 1
        rm -rf target/packages
        mkdir -p target/packages target/emulators
        (cd target/packages && apt-get -q download "$@") || return 1
        for file in target/packages/*.deb; do
            dpkg -x "$file" target/emulators || return 1
        done
        echo "setup: $* are unpacked in target/emulators"
    }

    unpack_promtool() {
        mkdir -p target/promtool
        (cd target/promtool && apt-get -q download prometheus) || return 1
        dpkg-deb --fsys-tarfile target/promtool/prometheus_*.deb |
            tar -x -C target/promtool --strip-components=3 ./usr/bin/promtool || return 1
        rm target/promtool/prometheus_*.deb
        echo 'setup: promtool is unpacked in target/promtool'
    }

    get update || echo 'setup: the lists of packages could not be renewed'
    if [ -n "$missing" ]; then
        echo "setup: installing$missing"
        get install -y --no-install-recommends $missing
    fi
    can_be_had=''
    for package in $wanted; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            can_be_had="$can_be_had $package"
        else
            echo "setup: there is no package $package here: tests that need it are skipped"
        fi
    done
    if [ -n "$can_be_had" ]; then
        echo "setup: installing$can_be_had"
        # Emulators for themselves: others of another version may stand in their way.
        tools='' emulators='' promtool=''
        for package in $can_be_had; do
            case $package in
            qemu-system-*) emulators="$emulators $package" ;;
            prometheus) promtool=$package ;;
            *) tools="$tools $package" ;;
            esac
        done
        [ -z "$tools" ] || install_beside $tools || for package in $tools; do
            install_beside "$package" || echo "setup: $package cannot be had: tests that need it are skipped"
        done
        [ -z "$promtool" ] || unpack_promtool || echo 'setup: promtool cannot be had: tests that need it are skipped'
        [ -z "$emulators" ] || install_beside $emulators || unpack $emulators qemu-system-common qemu-system-data ||
            echo "setup:$emulators cannot be had: tests that need them are skipped"
    fi
    exit 0
fi

echo "setup: there is no apt-get here. Missing, by their Debian names:$missing$wanted"
for tool in cc objcopy; do
    command -v $tool >/dev/null || lacking="$lacking $tool"
done
if [ -n "$lacking" ]; then
    echo "setup: nothing can be built without:$lacking" >&2
    exit 1
fi
echo 'setup: going on; tests that need them are skipped'
