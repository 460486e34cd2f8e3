#!/bin/sh
# The packages in other projects: the tarballs of `make dist` unpacked elsewhere and used without Rust, the source tree
# used by CMake, every piece of docs/build.md, and the descriptions for Zephyr, ESP-IDF and PlatformIO. Substitutes
# replace the builds of Zephyr and ESP-IDF. Pip installs Meson, PlatformIO, ESP-IDF's component manager and Zephyr's
# Kconfig (requirements.txt); without pip they are left out. Runs every step, even after failures, and prints the counts
# at the end. Needs `make lib` first.
set -eu
cd "$(dirname "$0")/../.."
repository=$PWD
out=$PWD/target/dist-test
unpacked="$out/un packed"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
host=$(rustc -vV | sed -n 's/^host: //p')
. tests/tools/steps.sh

tarball() { echo "target/dist/larder-$version-$1.tar.gz"; }
root() { echo "$unpacked/larder-$version-$1"; }

# ---- no Rust ----

# Only these tools are in the path, so a build with them needs neither cargo nor rustc.
TOOLS='sh rm cp awk grep sed tee make cmake uname pkg-config readelf cc c++ as ld ar ranlib'

link_tools() {
    for tool in $TOOLS; do
        if has "$tool"; then ln -s "$(command -v "$tool")" "$out/bin/$tool"; fi
    done
    for prefix in arm-none-eabi- riscv64-unknown-elf-; do
        for tool in gcc ar ranlib nm; do
            if has $prefix$tool; then ln -s "$(command -v $prefix$tool)" "$out/bin/$prefix$tool"; fi
        done
    done
}

without_rust() {
    (
        export PATH="$out/bin"
        "$@"
    )
}

rust_is_out_of_sight() {
    without_rust sh -c 'command -v cc && command -v cmake && ! command -v cargo && ! command -v rustc'
}

# ---- the tarballs ----

pack() { sh tests/tools/dist.sh "$version"; }

# With another umask and in another time zone, equal archives make equal bytes.
packs_the_same_bytes_again() {
    cp target/dist/SHA256SUMS "$out/first"
    touch include/larder.h
    (umask 077 && export TZ=Pacific/Auckland && pack) || return 1
    diff "$out/first" target/dist/SHA256SUMS
}

sums_are_right() { (cd target/dist && sha256sum -c SHA256SUMS); }

unpack_all() {
    mkdir -p "$unpacked"
    for file in target/dist/*.tar.gz; do tar -xzf "$file" -C "$unpacked" || return 1; done
}

# Each tarball names the Rust that built it, and all name the same.
one_rust_built_all() {
    grep -h '^Built by `rustc 1\.' "$unpacked"/*/README.md | tee "$out/compilers"
    [ "$(wc -l <"$out/compilers")" -eq "$(ls "$unpacked" | wc -l)" ] && [ "$(sort -u "$out/compilers" | wc -l)" -eq 1 ]
}

# Files and links that a tarball's README names are in it.
readmes_name_what_is_there() {
    for root in "$unpacked"/*; do
        grep -q 'lib/liblarder.a' "$root/README.md" || return 1
        { grep -o '](\([^)#]*\)' "$root/README.md" | cut -c 3- | grep -v '^http'
            grep -o '`[A-Za-z0-9_./-]*`' "$root/README.md" | tr -d '`' | grep -E '/|\.[a-z]+$|^[A-Z]+'; } |
            while read -r name; do
                [ -e "$root/$name" ] || { echo "${root##*/}: no $name"; return 1; }
            done || return 1
    done
}

# Builds and runs the program in the README by the commands in the README.
readmes_program_runs() {
    (
        cp -R "$(root "$host")" "$out/readme" && cd "$out/readme" || exit 1
        export PATH="$out/bin"
        unset LD_LIBRARY_PATH
        awk '/^```/ { block = inside ? "" : substr($0, 4); inside = !inside; next }
            block == "c" { print >"main.c" } block == "sh" { print >"commands" }' README.md
        sh -ex commands
    ) && prints_the_value "$out/readme/main"
}

holds_no_path_of_this_machine() {
    ! grep -rlF -e "$repository" -e "$HOME" "$unpacked"
}

# ---- a host's programs ----

prints_the_value() { "$@" | tee /dev/stderr | grep -q '^greeting = hello, larder$'; }

by_pkg_config() {
    (
        export PATH="$out/bin" PKG_CONFIG_LIBDIR="$(root "$host")/lib/pkgconfig"
        unset LD_LIBRARY_PATH
        pkg-config --exact-version="$version" larder || exit 1
        eval "cc -std=c11 c-examples/quickstart.c -o $out/by-pkg-config $(pkg-config --cflags --libs larder)" &&
            prints_the_value "$out/by-pkg-config" || exit 1
        eval "cc -static -std=c11 c-examples/quickstart.c -o $out/by-pkg-config-static \
            $(pkg-config --static --cflags --libs larder)" && prints_the_value "$out/by-pkg-config-static"
    )
}

# Builds and runs the programs of tests/dist/host.
# host_programs NAME CMAKE_ARGUMENT...
host_programs() {
    build="$out/host $1"
    shift
    cmake -S tests/dist/host -B "$build" "$@" && cmake --build "$build" || return 1
    for program in quickstart quickstart-shared quickstart-cpp; do
        prints_the_value "$build/$program" || return 1
    done
    "$build/consumer" || return 1
    readelf -d "$build/quickstart-shared" | grep 'NEEDED.*liblarder\.so\.[0-9]*\]'
}

by_find_package() {
    without_rust host_programs package -DCMAKE_PREFIX_PATH="$(root "$host")" -DWANTED="$version"
}

other_versions_are_refused() {
    for wanted in 0.0 0.99 1.0; do
        ! without_rust cmake -S tests/dist/host -B "$out/refused-$wanted" -DCMAKE_PREFIX_PATH="$(root "$host")" \
            -DWANTED=$wanted || return 1
    done
}

by_fetch_of_the_tarball() {
    without_rust host_programs tarball -DFROM="$repository/$(tarball "$host")"
}

# cargo reuses the output of `make lib`.
by_fetch_of_the_source() { host_programs source -DFROM="$repository" -DLARDER_CARGO_DIR="$repository/target"; }

installs_from_the_source() {
    cmake -S . -B "$out/install" -DCMAKE_INSTALL_LIBDIR=lib/multi -DLARDER_CARGO_DIR="$repository/target" &&
        cmake --build "$out/install" &&
        cmake --install "$out/install" --prefix "$out/in stalled" || return 1
    host_programs installed -Dlarder_DIR="$out/in stalled/lib/multi/cmake/larder"
}

# make install, in a directory where CMake searches
installed_by_make() {
    ${MAKE:-make} --no-print-directory install PREFIX="$out/made by make" || return 1
    host_programs made -DCMAKE_PREFIX_PATH="$out/made by make" -DWANTED="$version"
}

# ---- docs/build.md ----

# piece NAME: the page's text behind ```NAME
piece() { awk -v fence="\`\`\`$1" '/^```/ { inside = $0 == fence; next } inside' docs/build.md; }

# by_the_page NAME: the commands of that name, in the source tree
by_the_page() {
    piece "sh $1" >"$out/commands"
    [ -s "$out/commands" ] && limited env PREFIX="$out/prefix" sh -ex "$out/commands"
}

# project_by_the_page NAME [FILE PIECE]...: runs the commands of that name in a new project, in which each FILE is the
# named piece of the page
project_by_the_page() {
    section=$1 project="$out/page/$1"
    shift
    rm -rf "$project"
    mkdir -p "$project/src"
    cp c-examples/quickstart.c "$project/main.c"
    cp "$(tarball "$host")" "$project/larder.tar.gz" || return 1
    while [ $# -gt 0 ]; do
        piece "$2" >"$project/$1"
        shift 2
    done
    piece "sh $section" >"$project/commands"
    (unset LD_LIBRARY_PATH && cd "$project" && prints_the_value env PREFIX="$out/prefix" sh -ex commands)
}

by_cargo() {
    ln -sfn "$repository" "$out/page/larder"
    project_by_the_page cargo Cargo.toml 'toml cargo' src/main.rs 'rust cargo'
}

# Without a network, uses the crates on this machine.
by_cargo_or_offline() { by_cargo || (export CARGO_NET_OFFLINE=true && by_cargo); }

# Waits at most a minute.
koffi_is_there() {
    has node && has npm || { echo 'no node, or no npm'; return 1; }
    npm_config_cache="$out/npm" timeout 60 sh -ec "$(piece 'sh koffi')"
}

by_go() { (export GOCACHE="$out/go" GOTOOLCHAIN=local GOPROXY=off && by_the_page go); }

# With the shared library, as on the page; then with the archive.
by_meson() {
    (
        export PATH="$repository/$tools/bin:$PATH"
        project_by_the_page meson meson.build 'meson meson' && readelf -d "$out/page/meson/build/main" |
            grep 'NEEDED.*liblarder' || exit 1
        cd "$out/page/meson" && rm -rf build && sed -i "s/'>=0.1'/&, static: true/" meson.build &&
            prints_the_value env PREFIX="$out/prefix" sh -ex commands &&
            ! readelf -d build/main | grep 'NEEDED.*liblarder'
    )
}

# ---- firmware ----

# image DIRECTORY TARGET CMAKE_ARGUMENT...: configures with the compiler and flags of the target, builds
image() {
    directory=$1
    . tests/tools/target.sh
    target "$2"
    specs=nosys.specs
    [ "$prefix" = arm-none-eabi- ] || specs=picolibc.specs
    shift 2
    rm -rf "$out/image"
    cmake -S "tests/dist/$directory" -B "$out/image" -DCMAKE_SYSTEM_NAME=Generic \
        -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY -DCMAKE_C_COMPILER="${prefix}gcc" \
        -DCMAKE_C_FLAGS="$cpu --specs=$specs" "$@" && cmake --build "$out/image" || return 1
    "${prefix}nm" "$out/image/firmware" | grep ' T larder_cache_set$'
}

image_from_the_tarball() {
    without_rust image firmware "$1" -DCMAKE_PREFIX_PATH="$(root "$1")" -DCMAKE_FIND_ROOT_PATH="$(root "$1")"
}

image_from_the_source() { image firmware "$1" -DFROM="$repository"; }

a_hosts_package_is_no_firmwares() {
    ! without_rust image firmware thumbv6m-none-eabi -DCMAKE_PREFIX_PATH="$(root "$host")"
}

# chosen TARGET COMPILER FLAGS: checks the Rust target that CMake chooses for that compiler and those flags
chosen() {
    rm -rf "$out/chosen"
    cmake -S . -B "$out/chosen" -DCMAKE_SYSTEM_NAME=Generic -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY \
        -DCMAKE_C_COMPILER="$2" -DCMAKE_C_FLAGS="$3" || true
    [ "$1" = none ] && [ ! -f "$out/chosen/Makefile" ] || grep -q "larder for $1" -r "$out/chosen/CMakeFiles"
}

targets_follow_arm_flags() {
    while read -r target flags; do
        chosen "$target" arm-none-eabi-gcc "-mthumb $flags" || return 1
    done <<'FLAGS'
thumbv6m-none-eabi -mcpu=cortex-m0
thumbv6m-none-eabi -mcpu=cortex-m23
thumbv7m-none-eabi -mcpu=cortex-m3
thumbv7m-none-eabi -mcpu=cortex-m4
thumbv7m-none-eabi -mcpu=cortex-m7 -mfloat-abi=softfp -mfpu=fpv5-d16
thumbv7m-none-eabi -mcpu=cortex-m33+nofp
thumbv7em-none-eabihf -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16
thumbv7em-none-eabihf -mcpu=cortex-m7 -mfloat-abi=hard
thumbv8m.main-none-eabihf -mcpu=cortex-m33 -mfloat-abi=hard
thumbv8m.main-none-eabihf -mcpu=cortex-m55 -mfloat-abi=hard
none -march=armv7-a
FLAGS
}

targets_follow_riscv_flags() {
    chosen riscv32imac-unknown-none-elf riscv64-unknown-elf-gcc '-march=rv32imac_zicsr_zifencei -mabi=ilp32' &&
        chosen none riscv64-unknown-elf-gcc '-march=rv32imc -mabi=ilp32' &&
        chosen none riscv64-unknown-elf-gcc '-march=rv32imafc -mabi=ilp32f'
}

# ---- frameworks ----

zephyr_from_the_tarball() { without_rust image zephyr thumbv7em-none-eabihf -DMODULE="$(root thumbv7em-none-eabihf)"; }
zephyr_from_the_source() { image zephyr thumbv7em-none-eabihf -DMODULE="$repository"; }

# esp_idf COMPONENT: both readings of the component, and a chip that it is not for
esp_idf() {
    cmake -DCOMPONENT="$1" -P tests/dist/esp-idf/requirements.cmake &&
        image esp-idf riscv32imac-unknown-none-elf -DCOMPONENT="$1" -DIDF_TARGET=esp32c6 || return 1
    ! image esp-idf riscv32imac-unknown-none-elf -DCOMPONENT="$1" -DIDF_TARGET=esp32p4
}

esp_idf_from_the_tarball() { without_rust esp_idf "$(root riscv32imac-unknown-none-elf)"; }
esp_idf_from_the_source() { esp_idf "$repository"; }

# PlatformIO reads the flags in the library's directory, and takes the header from its include directory.
platformio_flags_link() {
    flags=$(sed -n 's/.*"flags": \["\(.*\)"\].*/\1/p' library.json | sed 's/", "/ /g')
    [ -n "$flags" ] || return 1
    (
        cd "$(root thumbv7m-none-eabi)"
        without_rust arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb --specs=nosys.specs -DLARDER_BARE_METAL -Iinclude \
            "$repository/tests/dist/firmware/main.c" -o "$out/platformio" $flags
    )
}

# ---- the frameworks' own tools ----

tools=target/frameworks

# Installed once, under target/; a minute at most.
tools_are_there() {
    [ -x $tools/bin/python ] || python3 -m venv $tools || return 1
    timeout 60 $tools/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check \
        -r tests/dist/requirements.txt
}

# tool PROGRAM ARGUMENT...: runs the program with $out/home as its home directory
tool() {
    program=$1
    shift
    mkdir -p "$out/home"
    HOME=$out/home IDF_TOOLS_PATH=$out/home PLATFORMIO_CORE_DIR=$out/platformio \
        PLATFORMIO_SETTING_ENABLE_TELEMETRY=no timeout 60 "$repository/$tools/bin/$program" "$@"
}

# Packs the library as `pio pkg pack` does, which also judges library.json. The list of licences is not fetched.
platformio_packs() {
    tool python - "$(root thumbv7m-none-eabi)" "$out/packed.tar.gz" <<'PYTHON'
import sys
from platformio.package.manifest.schema import ManifestSchema
from platformio.package.pack import PackagePacker

licences = {'licenses': [{'licenseId': 'MIT'}, {'licenseId': 'Apache-2.0'}]}
ManifestSchema.load_spdx_licenses = staticmethod(lambda: licences)
PackagePacker(sys.argv[1]).pack(sys.argv[2])
PYTHON
    tar -tzf "$out/packed.tar.gz" | grep -x -e library.json -e include/larder.h -e lib/liblarder.a | wc -l | grep -x 3
}

# platformio_builds TARBALL: `pio run`, with a platform and an SCons made for this test
platformio_builds() {
    rm -rf "$out/platformio" "$out/pio"
    mkdir -p "$out/platformio/packages"
    cp -R tests/dist/platformio/tool-scons "$out/platformio/packages"
    (
        cd tests/dist/platformio
        export LARDER_LIBRARY="$1" LARDER_OUT="$out/pio"
        tool pio run --verbose
    ) || return 1
    arm-none-eabi-nm "$out/pio/build/cortex-m3/firmware" | grep ' T larder_cache_set$'
}

# ESP-IDF's component manager: accepts the description, refuses a damaged one, and packs.
esp_idf_packs() {
    component=$(root riscv32imac-unknown-none-elf)
    tool compote --warnings-as-errors manifest lint "$component" || return 1
    mkdir -p "$out/damaged"
    sed 's/^version: .*/version: "first"/' idf_component.yml >"$out/damaged/idf_component.yml"
    ! tool compote manifest lint "$out/damaged" || return 1
    tool compote component pack --name larder --project-dir "$component" --dest-dir "$out/component" &&
        tar -tzf "$out/component/larder_$version.tgz" | grep -x ./lib/liblarder.a
}

# Reads Kconfig with Zephyr's own reader: the option exists for the supported cores, and for no other.
zephyr_option_is_there() {
    for core in CPU_CORTEX_M=y RISCV=y RISCV+64BIT=n X86=n; do
        {
            for symbol in CPU_CORTEX_M RISCV 64BIT X86; do
                default=n
                case "+${core%=*}+" in *"+$symbol+"*) default=y ;; esac
                printf 'config %s\n\tbool\n\tdefault %s\n' $symbol $default
            done
            echo 'source "zephyr/Kconfig"'
        } >"$out/Kconfig"
        tool python - "$out/Kconfig" "${core#*=}" <<'PYTHON' || return 1
import sys
import kconfiglib

kconfig = kconfiglib.Kconfig(sys.argv[1], warn_to_stderr=False)
kconfig.syms['LARDER'].set_value('y')
assert not kconfig.warnings, kconfig.warnings
assert kconfig.syms['LARDER'].str_value == sys.argv[2], sys.argv[1:]
PYTHON
    done
}

# Debian's yaml is for the python3 in /usr/bin.
yaml_python() {
    for python in python3 /usr/bin/python3; do
        ! "$python" -c 'import yaml' 2>/dev/null || { echo "$python" && return; }
    done
    return 1
}

# descriptions_are_right PYTHON: each description has only fields of its format, and the crate's version
descriptions_are_right() {
    "$1" - "$version" <<'PYTHON'
import json, sys, yaml

version = sys.argv[1]
module = yaml.safe_load(open('zephyr/module.yml'))
assert module == {'name': 'larder', 'build': {'cmake': 'zephyr', 'kconfig': 'zephyr/Kconfig'}}, module

component = yaml.safe_load(open('idf_component.yml'))
assert component['version'] == version, component
assert set(component) <= {'version', 'description', 'license', 'targets', 'url', 'files', 'dependencies'}, component
chips = open('CMakeLists.txt').read().split('REQUIRED_IDF_TARGETS ')[1].split(')')[0].split()
assert component['targets'] == chips, component

library = json.load(open('library.json'))
assert library['version'] == version, library
assert set(library) <= {'name', 'version', 'description', 'keywords', 'license', 'headers', 'frameworks', 'platforms',
                        'build'}, library
assert set(library['build']) <= {'includeDir', 'srcFilter', 'flags', 'libArchive'}, library
PYTHON
}

# ---- all of it ----

rm -rf "$out"
mkdir -p "$out/bin"
link_tools
if ! has cmake; then
    skip 'everything: no cmake'
    close dist
    exit
fi
step 'Rust is out of sight' rust_is_out_of_sight
step 'make dist' pack
step 'the same archives make the same bytes' packs_the_same_bytes_again
step 'the sums are right' sums_are_right
step 'tarballs unpack, into a path with a space' unpack_all
step 'no path of this machine is in them' holds_no_path_of_this_machine
step 'one Rust built all of them, and they say which' one_rust_built_all
step 'their README names what is in them' readmes_name_what_is_there
step 'the program in their README builds and runs' readmes_program_runs
if has pkg-config; then
    step 'pkg-config' by_pkg_config
else
    skip 'pkg-config: it is not here'
fi
step 'find_package' by_find_package
step 'find_package refuses other versions' other_versions_are_refused
step 'FetchContent of the tarball' by_fetch_of_the_tarball
step 'FetchContent of the source, with cargo' by_fetch_of_the_source
step 'cmake --install from the source' installs_from_the_source
step 'find_package after make install' installed_by_make
step 'docs/build.md: make install' by_the_page install
step 'docs/build.md: a C compiler' project_by_the_page cc
if has pkg-config; then
    step 'docs/build.md: pkg-config' project_by_the_page pkg-config
    step 'docs/build.md: pkg-config, static' project_by_the_page pkg-config-static
else
    skip 'docs/build.md: pkg-config: it is not here'
fi
step 'docs/build.md: find_package' project_by_the_page find_package CMakeLists.txt 'cmake find_package'
step 'docs/build.md: FetchContent' project_by_the_page FetchContent CMakeLists.txt 'cmake FetchContent'
step 'docs/build.md: cargo' by_cargo_or_offline
if has python3; then
    step 'Python, by ctypes' by_the_page python
else
    skip 'PYTHON, by ctypes: no python3'
fi
if koffi_is_there >"$out/log" 2>&1; then
    step 'Node, by koffi' by_the_page node
else
    tail -n 3 "$out/log" | sed 's/^/      /'
    skip 'NODE, by koffi: npm could not install it: no network?'
fi
if has go; then
    step 'Go, by cgo' by_go
else
    skip 'GO, by cgo: no go'
fi

. tests/tools/target.sh
for name in $TARGETS_FIRMWARE; do
    target "$name"
    if has "${prefix}gcc" && [ -f "$(tarball "$name")" ]; then
        step "an image from the tarball of $name" image_from_the_tarball "$name"
    else
        skip "an image for $name: no ${prefix}gcc, or no tarball"
    fi
done
if has arm-none-eabi-gcc; then
    step 'find_package of a host is none for firmware' a_hosts_package_is_no_firmwares
    step 'Rust targets follow the flags of arm-none-eabi-gcc' targets_follow_arm_flags
else
    skip 'Rust targets by flags: no arm-none-eabi-gcc'
fi
if has riscv64-unknown-elf-gcc; then
    step 'Rust targets follow the flags of riscv64-unknown-elf-gcc' targets_follow_riscv_flags
else
    skip 'Rust targets by flags: no riscv64-unknown-elf-gcc'
fi
if has arm-none-eabi-gcc && [ -f "$(tarball thumbv7em-none-eabihf)" ] && [ -f "$(tarball thumbv7m-none-eabi)" ]; then
    step 'an image from the source, with cargo' image_from_the_source thumbv7em-none-eabihf
    step 'Zephyr module, stood in for, from the tarball' zephyr_from_the_tarball
    step 'Zephyr module, stood in for, from the source' zephyr_from_the_source
    step 'PlatformIO flags link' platformio_flags_link
else
    skip 'Zephyr and PlatformIO: no arm-none-eabi-gcc, or no tarball'
fi
if has riscv64-unknown-elf-gcc && [ -f "$(tarball riscv32imac-unknown-none-elf)" ]; then
    step 'ESP-IDF component, stood in for, from the tarball' esp_idf_from_the_tarball
    step 'ESP-IDF component, stood in for, from the source' esp_idf_from_the_source
else
    skip 'ESP-IDF: no riscv64-unknown-elf-gcc, or no tarball'
fi
if python=$(yaml_python); then
    step 'descriptions for Zephyr, ESP-IDF and PlatformIO' descriptions_are_right "$python"
else
    skip 'descriptions for Zephyr, ESP-IDF and PlatformIO: no yaml for python3'
fi
if tools_are_there >"$out/log" 2>&1; then
    if has pkg-config; then
        step 'docs/build.md: Meson' by_meson
    else
        skip 'docs/build.md: Meson: no pkg-config'
    fi
    step 'the option for Zephyr, as Kconfig' zephyr_option_is_there
    if [ -f "$(tarball thumbv7m-none-eabi)" ] && has arm-none-eabi-gcc; then
        step 'PlatformIO packs the library' platformio_packs
        step 'PlatformIO builds an image from the tarball' platformio_builds "$repository/$(tarball thumbv7m-none-eabi)"
        step 'PlatformIO builds an image from what it packed' platformio_builds "$out/packed.tar.gz"
    else
        skip 'PlatformIO itself: no arm-none-eabi-gcc, or no tarball'
    fi
    if [ -f "$(tarball riscv32imac-unknown-none-elf)" ]; then
        step "ESP-IDF's component manager packs the component" esp_idf_packs
    else
        skip "ESP-IDF's component manager: no tarball"
    fi
else
    tail -n 3 "$out/log" | sed 's/^/      /'
    skip "Meson and the frameworks' own tools: pip could not install them (tests/dist/requirements.txt): no network?"
fi

close dist
