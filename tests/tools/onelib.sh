#!/bin/sh
# Turns cargo's static library into what C programs link: an archive of one relocatable object, and a shared
# library from that same object. Both export larder_* and nothing else, so that they sit beside any other
# library, another one in Rust included. Needs GNU binutils.
# usage: onelib.sh CARGO_ARCHIVE DIRECTORY VERSION
set -eu
archive=$1
out=$2
version=$3
soname=liblarder.so.${version%%.*}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

# Members with bitcode that these tools cannot read make nm complain; the one with larder_* is not among them.
nm -g --defined-only "$archive" 2>/dev/null | awk '$2 == "T" && $3 ~ /^larder_/ { print $3 }' | sort -u >"$work/exports"
if [ ! -s "$work/exports" ]; then
    echo "onelib: no larder_ symbol in $archive" >&2
    exit 1
fi

# Rust's prebuilt core may ask for the unwinder's personality, which no call can reach: panics abort.
echo 'void rust_eh_personality(void); void rust_eh_personality(void) {}' |
    ${CC:-cc} -x c -c -ffunction-sections -o "$work/stub.o" -

ld -r --gc-sections $(sed 's/^/-u /' "$work/exports") -o "$work/larder.o" "$work/stub.o" "$archive"
objcopy --keep-global-symbols="$work/exports" -R .llvmbc -R .llvmcmd "$work/larder.o"

# The panic handler and the allocator call symbols that nobody defines: one that is left here can be reached.
reached=$(nm -u "$work/larder.o" | awk '$2 ~ /^larder_/ { print $2 }')
if [ -n "$reached" ]; then
    echo "onelib: the library can reach" $reached '(it panics or allocates somewhere), through:' >&2
    nm -C "$work/larder.o" | grep -E 'core::panicking|panic_|alloc::' >&2 || true
    exit 1
fi

(cd "$work" && ar rcsD liblarder.a larder.o)
${CC:-cc} -shared -Wl,-soname,"$soname" -Wl,-z,defs -Wl,--gc-sections -o "$work/liblarder.so" "$work/larder.o" -lpthread

# What has not changed keeps its time, so that make builds nothing anew.
keep() {
    cmp -s "$1" "$2" || mv -f "$1" "$2"
}
keep "$work/liblarder.so" "$out/liblarder.so.$version"
ln -sf "liblarder.so.$version" "$out/$soname"
ln -sf "$soname" "$out/liblarder.so"
keep "$work/liblarder.a" "$out/liblarder.a"
