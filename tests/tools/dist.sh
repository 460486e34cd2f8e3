#!/bin/sh
# Writes a tarball for the host and for each firmware target that can be built here, usable without Rust:
# target/dist/larder-VERSION-TARGET.tar.gz, and SHA256SUMS beside them. One Rust builds all of them; each names its
# version. Equal archives make equal tarballs, on any machine and at any time. Needs cmake and GNU tar. Ends with 1 if a
# build fails.
# usage: dist.sh VERSION
set -eu
cd "$(dirname "$0")/../.."
. tests/tools/target.sh
version=$1
out=target/dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

# The licence texts that the archive's crates require in copies: MIT if a crate offers a choice.
# third_party CARGO_TREE_ARGUMENT...
third_party() {
    cargo tree --locked --edges normal --prefix none --format '{p}' "$@" | awk '$1 != "larder" { print $1, $2 }' |
        sort -u | while read -r crate crate_version; do
        printf '\n==== %s %s ====\n' "$crate" "${crate_version#v}"
        directory=$(echo "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$crate-${crate_version#v}")
        cat "$directory"/LICENSE-MIT* 2>/dev/null || cat "$directory"/LICENSE*
    done
    printf '\n==== the core library of Rust ====\nMIT OR Apache-2.0\n'
}

# stage TARGET ARCHIVE CMAKE_ARGUMENT...: headers, libraries, CMake and pkg-config files, by CMakeLists.txt
stage() {
    target=$1 archive=$2
    shift 2
    cmake -S . -B "$work/cmake-$target" -DLARDER_PREBUILT="$PWD/$archive" "$@" >"$work/log" &&
        cmake --install "$work/cmake-$target" --prefix "$work/larder-$version-$target" >>"$work/log" && return
    cat "$work/log" >&2
    exit 1
}

# pack TARGET CARGO_TREE_ARGUMENT...: adds the files of every tarball
pack() {
    name=larder-$version-$1
    sh tests/tools/tarball-readme.sh "$1" "$version" "$("$rust/rustc" --version)" >"$work/$name/README.md"
    shift
    cp CHANGELOG.md LICENSE-MIT LICENSE-APACHE CMakeLists.txt larder.pc.in "$work/$name"
    third_party "$@" >"$work/$name/LICENSE-THIRD-PARTY"
    tar -C "$work" --sort=name --mtime=@${SOURCE_DATE_EPOCH:-946684800} --owner=0 --group=0 --numeric-owner \
        --mode=u+rw,go+r,go-w --format=ustar -cf "$work/$name.tar" "$name"
    gzip -9 -n <"$work/$name.tar" >"$out/$name.tar.gz"
    echo "dist: $out/$name.tar.gz"
}

# The Rust of `make lib` uses the directory of `make lib`; another Rust uses a separate one.
for_host() {
    build=target
    [ "$rust" = "$(dirname "$(command -v rustc)")" ] || build=target/dist-build
    PATH="$rust:$PATH" RUSTC=$rust/rustc "$rust/cargo" rustc --quiet --release --lib --crate-type staticlib \
        --features capi --target-dir $build
    sh tests/tools/onelib.sh $build/release/liblarder.a $build/lib "$version"
    stage "$host" $build/lib/liblarder.a -DCMAKE_SIZEOF_VOID_P=8
    strip -g -D "$work/larder-$version-$host/lib/liblarder.a" "$work/larder-$version-$host/lib/liblarder.so.$version"
    pack "$host" --target "$host" --features capi
}

# for_firmware TARGET: leaves out a target that cannot be built; firmware.sh prints why
for_firmware() {
    result=0
    TARGETS=$1 sh tests/tools/firmware.sh || result=$?
    [ $result -ne 2 ] || return 0
    [ $result -eq 0 ] || exit 1
    root=$work/larder-$version-$1
    stage "$1" "target/firmware/$1/liblarder.a" -DCMAKE_SYSTEM_NAME=Generic -DCMAKE_SIZEOF_VOID_P=4
    cp "target/firmware/$1/liblarder-nolibc.a" "$root/lib"
    cp -R zephyr library.json "$root"
    case $1 in riscv32imac-*) cp idf_component.yml "$root" ;; esac
    pack "$1" --target "$1" --no-default-features --features capi,small
}

host=$(rustc -vV | sed -n 's/^host: //p')
rust=$(sh tests/tools/cross.sh --one "$host" $TARGETS_FIRMWARE)
if [ -z "$rust" ]; then
    echo 'dist: there is no Rust here that is recent enough; Cargo.toml says which is' >&2
    exit 1
fi
export RUST_DIRECTORIES="$rust"
echo "dist: by $("$rust/rustc" --version)"
rm -rf "$out"
mkdir -p "$out"
for_host
for target in $TARGETS_FIRMWARE; do
    for_firmware "$target"
done
(cd "$out" && sha256sum larder-*.tar.gz >SHA256SUMS)
