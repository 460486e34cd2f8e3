#!/bin/sh
# Turns cargo's static library into the one for C programs: an archive of one relocatable object that exports larder_*
# alone. So it can be linked with any other library, also with another one in Rust. Needs GNU binutils.
#
# For a host, also makes a shared library of the same object. For firmware (with TARGET) the object imports only mem*
# and the compiler's helpers, which a C compiler has, and has no data. liblarder-nolibc.a includes these functions, for
# images with neither a C library nor libgcc: it imports nothing.
# usage: onelib.sh CARGO_ARCHIVE DIRECTORY VERSION [TARGET]
set -eu
archive=$1
out=$2
version=$3
target=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

prefix='' emulation=''
if [ -n "$target" ]; then
    . "$(dirname "$0")/target.sh"
    target "$target"
fi

die() {
    echo "onelib: $*" >&2
    exit 1
}

# nm prints errors for members with bitcode that it cannot read; the member with larder_* is not one of them.
"${prefix}nm" -g --defined-only "$archive" 2>/dev/null | awk '$2 == "T" && $3 ~ /^larder_/ { print $3 }' |
    sort -u >"$work/exports"
[ -s "$work/exports" ] || die "no larder_ symbol in $archive"

# one_object OBJECT INPUT...: links the code that larder_* reaches, and makes every other name local
one_object() {
    object=$1
    shift
    "${prefix}ld" $emulation -r --gc-sections $(sed 's/^/-u /' "$work/exports") -o "$object" "$@"
    "${prefix}objcopy" --keep-global-symbols="$work/exports" -R .llvmbc -R .llvmcmd "$object"
}

undefined() { "${prefix}nm" -u "$1" | awk '{ print $2 }'; }

# The panic handler and the allocator call undefined symbols: a symbol that is left here is reachable.
cannot_panic_nor_allocate() {
    reached=$(undefined "$1" | grep '^larder_' || true)
    [ -n "$reached" ] || return 0
    echo "onelib: the library can reach" $reached '(it panics or allocates somewhere), through:' >&2
    "${prefix}nm" -C "$1" | grep -E 'core::panicking|panic_|alloc::' >&2 || true
    exit 1
}

pack() { (cd "$work" && "${prefix}ar" rcsD "$1" "$2"); }

# An unchanged file keeps its time, so that make does not rebuild its dependents.
keep() {
    # $work may be on another file system: who reads sees the old one or the new one.
    cmp -s "$1" "$2" || { cp -f "$1" "$2.$$" && mv -f "$2.$$" "$2"; }
}

# ---- for a host ----

# Rust's prebuilt core may import the unwinder's personality, which is unreachable: panics abort.
personality() {
    echo 'void rust_eh_personality(void); void rust_eh_personality(void) {}' |
        ${CC:-cc} -x c -c -ffunction-sections -o "$work/stub.o" -
}

for_host() {
    soname=liblarder.so.${version%%.*}
    personality
    one_object "$work/larder.o" "$work/stub.o" "$archive"
    cannot_panic_nor_allocate "$work/larder.o"
    pack liblarder.a larder.o
    ${CC:-cc} -shared -Wl,-soname,"$soname" -Wl,-z,defs -Wl,--gc-sections -o "$work/liblarder.so" "$work/larder.o" \
        -lpthread
    keep "$work/liblarder.so" "$out/liblarder.so.$version"
    ln -sf "liblarder.so.$version" "$out/$soname"
    ln -sf "$soname" "$out/liblarder.so"
    keep "$work/liblarder.a" "$out/liblarder.a"
}

# ---- for firmware ----

# Allowed imports are those that every C compiler for bare metal has: mem* and its helpers, such as __aeabi_*.
only_helpers_undefined() {
    strange=$(undefined "$1" | grep -vxE 'mem(cpy|move|set|cmp)|bcmp|__[a-z0-9_]+' || true)
    [ -z "$strange" ] || die "the library asks for" $strange
}

nothing_undefined() {
    strange=$(undefined "$1")
    [ -z "$strange" ] || die "the library without a C library asks for" $strange
}

# Read-only words that need relocation (.data.rel.ro) are constants in an image, so they are allowed.
no_data() {
    written=$("${prefix}objdump" -h -w "$1" |
        awk '$2 ~ /^\.(data|bss|sdata|sbss|tdata|tbss)/ && $2 !~ /^\.data\.rel\.ro/ && $3 !~ /^0+$/ { print $2 }')
    [ -z "$written" ] || die "the library keeps data of its own:" $written
}

# firmware_object NAME ARCHIVE: one object, without the sections for debuggers and for the tools of `make size`
firmware_object() {
    stub=''
    case $target in
    *-linux-*) personality && stub=$work/stub.o ;;
    esac
    one_object "$work/larder.o" $stub "$2"
    "${prefix}objcopy" -g -R .stack_sizes "$work/larder.o"
    cannot_panic_nor_allocate "$work/larder.o"
    no_data "$work/larder.o"
    pack "$1" larder.o
}

# The members compiler_builtins-* are Rust's compiler helpers and its mem*.
for_firmware() {
    cp "$archive" "$work/lean.a"
    helpers=$("${prefix}ar" t "$work/lean.a" | grep '^compiler_builtins-' || true)
    [ -z "$helpers" ] || "${prefix}ar" d "$work/lean.a" $helpers
    firmware_object liblarder.a "$work/lean.a"
    only_helpers_undefined "$work/larder.o"
    case $target in
    *-none-*)
        firmware_object liblarder-nolibc.a "$archive"
        nothing_undefined "$work/larder.o"
        keep "$work/liblarder-nolibc.a" "$out/liblarder-nolibc.a"
        ;;
    esac
    keep "$work/liblarder.a" "$out/liblarder.a"
}

if [ -n "$target" ]; then
    for_firmware
else
    for_host
fi
