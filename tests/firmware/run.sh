#!/bin/sh
# The firmware part of the tests that needs no board: builds the library for each target, links it in all the ways in
# which firmware links, and checks its budgets. Runs every step, even after failures, and prints the counts at the end.
# A target whose tools are missing is skipped.
set -eu
cd "$(dirname "$0")/../.."
. tests/tools/target.sh
out=target/firmware-test
. tests/tools/steps.sh

CFLAGS='-std=c11 -Os -Wall -Wextra -Wpedantic -Werror -Iinclude -DLARDER_BARE_METAL -ffunction-sections -fdata-sections'
FREESTANDING='-ffreestanding -fno-builtin -fno-tree-loop-distribute-patterns'

# One Rust builds all cores, as in firmware.sh.
given=${RUST_DIRECTORIES:-}
one=$(rust_of_cores ${TARGETS:-$TARGETS_ALL})
export RUST_DIRECTORIES

fails() { if "$@"; then return 1; fi; }

# on TARGET: sets the variables of the steps below
on() {
    target "$1"
    name_of_target=$1
    case $1 in *-none-*) RUST_DIRECTORIES=$one ;; *) RUST_DIRECTORIES=$given ;; esac
    cc=${prefix}gcc
    archive=target/firmware/$1/liblarder.a
    nolibc=target/firmware/$1/liblarder-nolibc.a
    from_cargo=$built/$profile/liblarder.a
}

# ---- images, linked and not run ----

# link OUTPUT FLAG...: links an image without unreachable code
link() {
    image=$1
    shift
    "$cc" $cpu $CFLAGS -Wl,--gc-sections "$@" -o "$image"
}

exports() { "${prefix}nm" -g --defined-only "$1" | awk 'NF == 3 { print $3 }' | sort -u; }
undefined() { "${prefix}nm" -u "$1" | awk 'NF == 2 { print $2 }' | sort -u; }

declared() {
    "$cc" $cpu -E -P -ffreestanding -DLARDER_BARE_METAL include/larder.h |
        grep -o 'larder_[a-z0-9_]* *(' | tr -d ' (' | sort -u
}

# Writes a program that takes the address of every function that the archive exports.
mention_all() {
    exports "$1" | grep '^larder_' >"$out/functions" || return 1
    {
        sed 's/.*/void &(void);/' "$out/functions"
        echo 'typedef void function(void);'
        echo 'extern function *const all[];'
        echo 'function *const all[] = {'
        sed 's/$/,/' "$out/functions"
        echo '};'
        echo 'function *const volatile *next = all;'
        echo 'void _start(void);'
        echo 'void _start(void) { for (;;) (*next++)(); }'
    } >"$out/all.c"
}

nothing_left_undefined() {
    left=$(undefined "$1")
    [ -z "$left" ] || { echo "undefined: $left"; return 1; }
}

mem_in_c() { "$cc" $cpu $CFLAGS $FREESTANDING -c tests/firmware/nolibc.c -o "$out/mem.o"; }

# ---- the steps of each target ----

build() { TARGETS=$name_of_target sh tests/tools/firmware.sh; }

exports_are_the_header() {
    declared >"$out/declared"
    exports "$archive" >"$out/exported"
    [ -s "$out/declared" ] && diff "$out/declared" "$out/exported"
}

is_one_object() { [ "$("${prefix}ar" t "$archive" | wc -l)" -eq 1 ]; }

# Every writable section is empty: there is no data and no bss, by any name. .data.rel.ro, constants that hold
# addresses, is read-only once a host's loader has filled it in; firmware has none.
has_no_data() {
    "${prefix}objdump" -h -w "$archive" | awk -v host="$([ -n "$prefix" ] || echo 1)" '
        host && $2 ~ /^\.data\.rel\.ro/ { next }
        $3 !~ /^0+$/ && / ALLOC/ && !/READONLY/ { print; found = 1 }
        END { exit found }'
}

links_without_c_library() {
    mem_in_c && mention_all "$archive" || return 1
    link "$out/all.elf" -nostdlib "$out/all.c" "$out/mem.o" "$archive" -lgcc &&
        nothing_left_undefined "$out/all.elf" || return 1
    link "$out/small.elf" -nostdlib -ffreestanding -DWITHOUT_C_LIBRARY tests/firmware/small.c "$out/mem.o" "$archive" \
        -lgcc &&
        nothing_left_undefined "$out/small.elf"
}

# Links without libgcc and mem*: the archive has them, and still exports larder_* alone.
links_with_nothing() {
    exports "$nolibc" | diff "$out/declared" - && mention_all "$nolibc" || return 1
    link "$out/alone.elf" -nostdlib "$out/all.c" "$nolibc" && nothing_left_undefined "$out/alone.elf"
}

links_with_newlib() {
    for specs in '--specs=nosys.specs' "$libc"; do
        link "$out/newlib.elf" $specs tests/firmware/small.c "$archive" && nothing_left_undefined "$out/newlib.elf" ||
            return 1
    done
    ! exports "$out/newlib.elf" | grep -xE 'malloc|_malloc_r|free|_sbrk_r'
}

links_with_picolibc() {
    link "$out/picolibc.elf" $libc tests/firmware/small.c "$archive" &&
        nothing_left_undefined "$out/picolibc.elf" || return 1
    ! exports "$out/picolibc.elf" | grep -xE 'malloc|free|sbrk'
}

# ---- neither a panic nor an allocation is reachable ----

# Cargo's archive with all Rust code: panic handler and allocator call undefined symbols. So the link fails unless the
# linker finds both unreachable.
all_of() {
    mem_in_c && mention_all "$1" || return 1
    link "$out/proof.elf" -nostdlib "$out/all.c" "$1" "$out/mem.o" -lgcc && nothing_left_undefined "$out/proof.elf"
}

# compile ARGUMENT...: cargo's part of the build
compile() {
    sh tests/tools/cross.sh "$name_of_target" rustc --quiet --profile "$profile" --lib --crate-type staticlib \
        --no-default-features --features "$features" "$@"
}

# planted WHAT SYMBOL: with a planted fault, linking the image and the object fails because of this symbol
planted() {
    compile -- --cfg "larder_planted=\"$1\"" || return 1
    mkdir -p "$out/planted"
    cp "$from_cargo" "$out/planted/liblarder.a"
    fails all_of "$out/planted/liblarder.a" 2>"$out/planted/image" || return 1
    grep "undefined reference to .$2'" "$out/planted/image" || { cat "$out/planted/image"; return 1; }
    fails sh tests/tools/onelib.sh "$out/planted/liblarder.a" "$out/planted/one" 0 "$name_of_target" \
        2>"$out/planted/object" || return 1
    grep "can reach .*$2" "$out/planted/object"
}

# ---- beside another library in Rust ----

build_other() {
    mkdir -p "$out/other/src"
    cp tests/firmware/other.rs "$out/other/src/lib.rs"
    cat >"$out/other/Cargo.toml" <<'TOML'
[package]
name = "other"
version = "0.0.0"
edition = "2024"

[lib]
crate-type = ["staticlib"]

# Without optimization across crates, which would hide clashes of symbols.
[profile.other]
inherits = "release"
panic = "abort"
opt-level = 0
lto = "off"

[workspace]
TOML
    sh tests/tools/cross.sh "$name_of_target" build --quiet --manifest-path "$out/other/Cargo.toml" --profile other
}

links_beside_other_rust() {
    build_other && mem_in_c && mention_all "$archive" || return 1
    other=$built/other/libother.a
    "${prefix}nm" "$other" 2>/dev/null | grep -q ' [TD] .*rust_begin_unwind' || { echo 'it cannot clash'; return 1; }
    sed -i 's/^};/(function *)other_answer, };/; 1i void other_answer(void);' "$out/all.c"
    for libraries in "$archive $other" "$other $archive"; do
        link "$out/both.elf" -nostdlib "$out/all.c" "$out/mem.o" $libraries -lgcc &&
            nothing_left_undefined "$out/both.elf" || return 1
    done
}

# ---- firmware in Rust ----

# rust_image FEATURES PROFILE [OWN_FEATURES]: tests/firmware/no_heap.rs over this crate with those features. The symbol
# belongs to unwinding tables, which the linker scripts of Rust for Cortex-M leave out.
rust_image() {
    mkdir -p "$out/rust/src"
    cp tests/firmware/no_heap.rs "$out/rust/src/main.rs"
    cp Cargo.lock "$out/rust/"
    cat >"$out/rust/Cargo.toml" <<TOML
[package]
name = "no-heap"
version = "0.0.0"
edition = "2024"

[features]
allocates = []
allocator = ["allocates", "larder/alloc"]

[dependencies]
larder = { path = "$PWD", default-features = false, features = [$1] }

# As this crate has it: core is built once for both.
[profile.firmware]
inherits = "release"
opt-level = "z"
lto = "fat"
codegen-units = 1
panic = "abort"
debug = 1

[profile.dev]
opt-level = 0
panic = "abort"

[workspace]
TOML
    sh tests/tools/cross.sh "$name_of_target" rustc --quiet --manifest-path "$out/rust/Cargo.toml" --profile "$2" \
        --features "${3:-}" -- -C linker="$cc" \
        -C link-args="$cpu -nostdlib -Wl,-e,main -Wl,--defsym=__aeabi_unwind_cpp_pr0=0"
}

rust_links_without_allocator() {
    image=$built/firmware/no-heap
    for wanted in '' '"small"'; do
        rust_image "$wanted" firmware && nothing_left_undefined "$image" || return 1
        ! "${prefix}nm" -C "$image" | grep -E '__rust_alloc|__rg_alloc|GlobalAlloc' || return 1
    done
}

rust_links_unoptimized() {
    rust_image '' dev && nothing_left_undefined "$built/debug/no-heap"
}

rust_allocation_is_found() {
    fails rust_image '' "$1" allocates 2>"$out/allocates" || return 1
    grep "undefined reference to .larder_no_heap'" "$out/allocates" || { cat "$out/allocates"; return 1; }
}

rust_links_with_allocator() { rust_image '' firmware allocator; }

# ---- documents ----

# Compiles each piece of C in docs/firmware.md as a separate file.
docs_compile() {
    rm -rf "$out/docs"
    mkdir -p "$out/docs"
    awk -v out="$out/docs" '/^```/ { if (!inside && $0 == "```c") file = out "/" ++count ".c"; else file = ""
            inside = !inside; next }
        file { print >file }' docs/firmware.md
    [ -f "$out/docs/4.c" ] || { echo 'there is less code than there was'; return 1; }
    for source in "$out"/docs/*.c; do
        "$cc" $cpu $CFLAGS -Itests/firmware/frameworks -c "$source" -o "$source.o" || return 1
    done
}

# ---- stacks, computed ----

# stack_of FUNCTION: the answer of tests/tools/stack.py for larder_test in recursion.c, which calls FUNCTION
stack_of() {
    "$cc" $cpu -std=c11 -Os -Wall -Wextra -Werror -Wno-unused-function -fno-optimize-sibling-calls -ffunction-sections \
        -DCASE="$1" -c tests/firmware/recursion.c -o "$out/case.o" || return 2
    "${prefix}ld" -r --gc-sections -u larder_test "$out/case.o" -o "$out/case-alone.o" || return 2
    python3 tests/tools/stack.py "$out/case-alone.o" "$out/case.o" "$prefix" >"$out/stack" 2>&1
}

stack_is_bounded() {
    result=0
    stack_of bounded || result=$?
    cat "$out/stack"
    [ "$result" -eq 0 ] &&
        grep '^[0-9]* larder_test larder_test(16) > bounded([0-9]*) > call([0-9]*) > twice' "$out/stack"
}

# stack.py must end with 1 and name the cycle.
recursion_is_refused() {
    while read -r function message; do
        result=0
        stack_of "$function" || result=$?
        cat "$out/stack"
        [ "$result" -eq 1 ] && grep -qxF "stack: $message" "$out/stack" || { echo "$function: $result"; return 1; }
    done <<'CASES'
by_name no bound, for there is recursion: by_name > by_name
even no bound, for there is recursion: even > odd > even
there no bound, for there is recursion: there > call > through a pointer: back > there
through_pointers no bound, for there is recursion: ping > through a pointer: ping
from_table no bound, for there is recursion: from_table > through a pointer: from_table
later no call further down reaches these, so that their addresses are kept: twice
CASES
}

# ---- which Rust builds ----

# Makes a directory with a fake rustc and cargo, which print their arguments. The fake Rust has the target, the sources,
# or neither.
pretend_rust() {
    mkdir -p "$out/$1/bin" "$out/$1/lib/rustlib/$name_of_target/lib" "$out/$1/lib/rustlib/src/rust/library/core/src"
    rm -f "$out/$1"/lib/rustlib/*/lib/*.rlib "$out/$1/lib/rustlib/src/rust/library/core/src/lib.rs"
    case $1 in
    with-target) : >"$out/$1/lib/rustlib/$name_of_target/lib/libcore-0.rlib" ;;
    with-source) : >"$out/$1/lib/rustlib/src/rust/library/core/src/lib.rs" ;;
    esac
    cat >"$out/$1/bin/rustc" <<SH
#!/bin/sh
case \$* in
--version) echo 'rustc 1.$2.0 (pretended)' ;;
*target-libdir*$name_of_target) echo '$PWD/$out/$1/lib/rustlib/$name_of_target/lib' ;;
*sysroot) echo '$PWD/$out/$1' ;;
esac
SH
    printf '#!/bin/sh\necho "$RUSTC: $*"\n' >"$out/$1/bin/cargo"
    chmod +x "$out/$1/bin/rustc" "$out/$1/bin/cargo"
}

cross_in() {
    RUST_DIRECTORIES=$1 sh tests/tools/cross.sh "$name_of_target" rustc --lib >"$out/cross" 2>&1
}

target_comes_before_source() {
    both="$PWD/$out/with-source/bin $PWD/$out/with-target/bin"
    pretend_rust with-source 99 && pretend_rust with-target 99 && cross_in "$both" && cat "$out/cross" &&
        grep "^$PWD/$out/with-target/bin/rustc: rustc --target $name_of_target .*--lib" "$out/cross" &&
        ! grep build-std "$out/cross"
}

source_is_built() {
    pretend_rust with-source 99 && cross_in "$PWD/$out/with-source/bin" && cat "$out/cross" &&
        grep "^$PWD/$out/with-source/bin/rustc: rustc .*-Z build-std=core,.*--lib" "$out/cross"
}

old_rust_is_passed_over() {
    pretend_rust with-target 63 && pretend_rust with-source 99 &&
        cross_in "$PWD/$out/with-target/bin $PWD/$out/with-source/bin" && grep "with-source/bin/rustc" "$out/cross"
}

missing_rust_is_named() {
    pretend_rust with-nothing 99
    result=0
    cross_in "$PWD/$out/with-nothing/bin $PWD/$out/not-there" || result=$?
    cat "$out/cross"
    [ "$result" -eq 2 ] && grep "rustup target add $name_of_target" "$out/cross" && grep rust-web-src "$out/cross"
}

# A target that cannot be built does not stop the others, and the status shows the failure.
others_are_built() {
    result=0
    TARGETS="thumbv6m-nobody-eabi $name_of_target" sh tests/tools/firmware.sh >"$out/some" 2>&1 || result=$?
    cat "$out/some"
    [ "$result" -eq 2 ] && grep "thumbv6m-nobody-eabi: not built" "$out/some" &&
        grep "$name_of_target: $archive" "$out/some"
}

# Builds with an installed target: the core library built from source is put where rustup would put it.
installed_target_builds() {
    bin=$(sh tests/tools/cross.sh --way "$name_of_target" | sed -n 's/.* of \(.*\), core source$/\1/p')
    [ -n "$bin" ] || { sh tests/tools/cross.sh --way "$name_of_target" | grep 'core installed$'; return; }
    root=$PWD/$out/installed
    rm -rf "$root"
    mkdir -p "$root/bin" "$root/lib/rustlib/$name_of_target/lib"
    for library in core alloc compiler_builtins; do
        newest=$(ls -t "$built/$profile/deps/lib$library"-*.rlib | head -n 1)
        cp "$newest" "$root/lib/rustlib/$name_of_target/lib/" || return 1
    done
    printf '#!/bin/sh\nexec %s/rustc --sysroot %s "$@"\n' "$bin" "$root" >"$root/bin/rustc"
    printf '#!/bin/sh\nexec %s/cargo "$@"\n' "$bin" >"$root/bin/cargo"
    chmod +x "$root/bin/rustc" "$root/bin/cargo"
    RUST_DIRECTORIES=$root/bin sh tests/tools/cross.sh --way "$name_of_target" | grep 'core installed$' || return 1
    RUST_DIRECTORIES=$root/bin compile && sh tests/tools/onelib.sh "$from_cargo" "$root/one" 0 "$name_of_target" &&
        exports "$root/one/liblarder.a" | diff "$out/declared" -
}

# A Rust that builds all targets is preferred to one that has a single target installed.
one_rust_builds_all() {
    pretend_rust with-target 99 && pretend_rust with-source 99 || return 1
    (
        export RUST_DIRECTORIES="$PWD/$out/with-source/bin $PWD/$out/with-target/bin"
        sh tests/tools/cross.sh --one "$name_of_target" | grep 'with-target/bin$' &&
            sh tests/tools/cross.sh --one thumbv7m-none-eabi "$name_of_target" | grep 'with-source/bin$'
    )
}

# ---- all of it ----

for target in ${TARGETS:-$TARGETS_ALL}; do
    on "$target"
    result=0
    build >"$out/log" 2>&1 || result=$?
    if [ "$result" -eq 2 ]; then
        sed 's/^/      /' "$out/log"
        skip "$target: its tools are not there"
        continue
    fi
    step "$target: builds" build
    [ "$result" -eq 0 ] || continue
    step "$target: one object" is_one_object
    step "$target: exports are what the header declares" exports_are_the_header
    step "$target: no data" has_no_data
    step "$target: links without a C library" links_without_c_library
    case $target in
    thumb*) step "$target: links with newlib" links_with_newlib ;;
    riscv*) step "$target: links with picolibc" links_with_picolibc ;;
    esac
    case $target in
    *-none-*) step "$target: links with nothing at all" links_with_nothing ;;
    esac
    case $target in
    thumbv6m-* | riscv*) step "$target: links beside another Rust library" links_beside_other_rust ;;
    esac
    case $target in
    *-none-*) step "$target: firmware in Rust links without an allocator" rust_links_without_allocator ;;
    esac
    step "$target: nothing that panics or allocates is reachable" all_of "$from_cargo"
done

on thumbv6m-none-eabi
if [ -f "$from_cargo" ]; then
    step 'a planted panic is found' planted panic larder_port_panic
    step 'a planted allocation is found' planted allocation larder_no_heap
    step 'builds again without them' build
    step 'firmware in Rust without optimization links without an allocator' rust_links_unoptimized
    step 'firmware in Rust that allocates does not link' rust_allocation_is_found firmware
    step 'nor does it without optimization' rust_allocation_is_found dev
    step 'firmware in Rust with an allocator of its own links' rust_links_with_allocator
fi
if has "$cc"; then
    step 'the C code in docs/firmware.md compiles' docs_compile
else
    skip "docs/firmware.md: no $cc"
fi
step 'a Rust with the target comes before one with sources' target_comes_before_source
step 'a Rust with sources builds core' source_is_built
step 'one Rust builds all targets' one_rust_builds_all
step 'a Rust too old is passed over' old_rust_is_passed_over
step 'a missing Rust is named' missing_rust_is_named
if [ -f "$from_cargo" ]; then
    step 'an installed target builds' installed_target_builds
    step 'a target that is not there keeps no other from being built' others_are_built
fi
if command -v python3 >/dev/null && command -v llvm-readobj >/dev/null; then
    step 'a stack with a bound is computed, pointers and all' stack_is_bounded
    step 'recursion is refused, by name and through pointers, and so is an address that is kept' recursion_is_refused
    step 'sizes and stacks are within their budgets' env RUST_DIRECTORIES="$given" sh tests/tools/size.sh
else
    skip 'stacks and budgets: no python3, or no llvm-readobj'
fi

close firmware
