#!/bin/sh
# The C part of the tests: headers, programs, examples, installation, symbols, memory. Runs every step, whatever the
# ones before it said, and closes with how many passed. Needs `make lib examples` first.
set -eu
cd "$(dirname "$0")/../.."
out=target/c
archive=target/lib/liblarder.a
. tests/tools/steps.sh

CFLAGS='-std=c99 -O1 -g -Wall -Wextra -Wpedantic -Werror -Iinclude -Itests/c'
CXXFLAGS='-O1 -g -Wall -Wextra -Wpedantic -Werror -Iinclude -Itests/c'
LIBS='-lpthread -lm'

# ---- programs ----

build_and_run() {
    cc $CFLAGS "tests/c/$1.c" -o "$out/$1" "$archive" $LIBS && limited "$out/$1"
}

build_and_run_cpp() {
    g++ "-std=$1" $CXXFLAGS tests/c/consumer.cpp -o "$out/consumer-$1" "$archive" $LIBS && limited "$out/consumer-$1"
}

under_valgrind() {
    limited valgrind -q --error-exitcode=9 --leak-check=full --fair-sched=try "$out/$1" quick
}

# With the host's lock: helgrind knows a pthread mutex, but not the library's spin lock.
under_helgrind() {
    limited valgrind -q --tool=helgrind --error-exitcode=9 --suppressions=tests/c/helgrind.supp --fair-sched=try \
        "$out/$1" hooks
}

# ---- installation ----

root=$PWD/$out/root

pc() {
    PKG_CONFIG_LIBDIR="$root/usr/local/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root" pkg-config "$@" larder
}

install_into_root() {
    rm -rf "$root"
    ${MAKE:-make} --no-print-directory install PREFIX=/usr/local DESTDIR="$root" || return 1
    for file in lib/liblarder.a lib/liblarder.so include/larder.h lib/pkgconfig/larder.pc; do
        [ -e "$root/usr/local/$file" ] || { echo "not installed: $file"; return 1; }
    done
    [ "$(pc --modversion)" = "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)" ]
}

quickstart_shared() {
    cc -std=c11 c-examples/quickstart.c $(pc --cflags --libs) -o "$out/quickstart-shared" || return 1
    readelf -d "$out/quickstart-shared" | grep 'NEEDED.*liblarder\.so\.[0-9]*\]' || return 1
    LD_LIBRARY_PATH="$root/usr/local/lib" limited "$out/quickstart-shared"
}

quickstart_static() {
    cc -std=c11 -static c-examples/quickstart.c $(pc --static --cflags --libs) -o "$out/quickstart-static" || return 1
    limited "$out/quickstart-static"
}

# ---- static analysis ----

# All but what is wrong on purpose.
c_sources() { find c-examples tests -name '*.c' ! -name planted.c | sort; }
INCLUDES='-Iinclude -Ic-examples/firmware -Ic-examples/firmware/boards -Itests/firmware'

# Left out is what is wrong where memory changes through a pointer that a hook was given (unreadVariable,
# knownConditionTrueFalse, redundantAssignment), where a union is for alignment (unusedStructMember), where the linker
# says what an array's end is (comparePointers), and taste (variableScope, of large static variables).
cppcheck_finds_nothing() {
    cppcheck -U__has_include --quiet --std=c11 --enable=warning,style,portability --error-exitcode=2 $INCLUDES \
        $(printf -- '--suppress=%s ' unreadVariable knownConditionTrueFalse redundantAssignment unusedStructMember \
            comparePointers variableScope) $(c_sources)
}

# Start-up code, and programs for other systems' headers, are for other machines. The analyzer looks at a function for
# as long as it has nodes: tables of calls that are wrong on purpose would take it a minute each.
clang_tidy_finds_nothing() {
    c_sources | grep -v -e /boards/ -e tests/dist/ | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN)" sh -c '
        clang-tidy --quiet --config-file=tests/.clang-tidy "$0" -- -std=c11 \
            -Xclang -analyzer-config -Xclang max-nodes=20000 '"$INCLUDES"' 2>/dev/null ||
            echo "found in $0"' >"$out/tidy"
    ! grep -q 'found in' "$out/tidy" || { cat "$out/tidy"; return 1; }
}

# ---- symbols ----

exports() {
    nm "$@" --defined-only | awk 'NF == 3 && $2 ~ /[A-Z]/ { print $3 }' | sort -u
}

declared() {
    cc -E -P include/larder.h | grep -o 'larder_[a-z0-9_]* *(' | tr -d ' (' | sort -u
}

# Bad input is tried on every function.
bad_inputs_are_for_every_function() {
    missing=''
    for function in $(declared); do
        grep -q "$function(" tests/c/bad_input_*.c || missing="$missing $function"
    done
    [ -z "$missing" ] || { echo "no bad_input_*.c calls:$missing"; return 1; }
}

# What programs of other versions rely on is what the committed manifest says.
abi_is_the_manifest() {
    sh tests/tools/abi.sh "$out/abi" || return 1
    for file in larder.abi layout.rs; do
        diff "tests/abi/$file" "$out/abi/$file" || { echo 'where it is meant to change: make abi'; return 1; }
    done
}

archive_has_one_member() {
    ar t "$archive"
    [ "$(ar t "$archive" | wc -l)" -eq 1 ]
}

# Both libraries define exactly what the header declares.
exports_are_the_header() {
    declared >"$out/declared"
    exports -g "$archive" >"$out/exported"
    exports -D target/lib/liblarder.so >"$out/exported-shared"
    [ -s "$out/declared" ] || return 1
    diff "$out/declared" "$out/exported" && diff "$out/declared" "$out/exported-shared"
}

# Nothing that panics, formats or unwinds is left in the object.
object_cannot_panic() {
    found=$(nm -C "$archive" | grep -E 'core::panicking|core::fmt|begin_unwind|_Unwind_|panic_fmt' || true)
    [ -z "$found" ] || { echo 'the archive can panic:'; echo "$found"; return 1; }
}

# The object asks nobody for memory.
object_has_no_heap() {
    nm -u "$archive" | awk 'NF == 2 { print $2 }' | sort -u >"$out/imported"
    cat "$out/imported"
    ! grep -xE 'malloc|calloc|realloc|reallocarray|free|aligned_alloc|posix_memalign|mmap|sbrk|brk' "$out/imported"
}

# A C program can link larder and another static library made by Rust, standard library and all.
links_beside_other_rust() {
    cat >"$out/other.rs" <<'RUST'
#[unsafe(no_mangle)]
pub extern "C" fn other_answer() -> i32 {
    std::thread::spawn(|| 42).join().unwrap_or(0)
}
RUST
    cat >"$out/both.c" <<'C'
#include <larder.h>
int other_answer(void);
int main(void)
{
    return other_answer() == 42 && larder_version_number() == LARDER_VERSION_NUMBER ? 0 : 1;
}
C
    rustc --edition 2024 --crate-type staticlib --crate-name other "$out/other.rs" -o "$out/libother.a" || return 1
    for order in "$archive $out/libother.a" "$out/libother.a $archive"; do
        cc $CFLAGS "$out/both.c" $order -ldl $LIBS -o "$out/both" && limited "$out/both" || return 1
    done
}

# Every hit's value is compared by the program itself.
replay_trace() {
    if ! pkg-config --exists libzstd; then
        echo 'no libzstd'
        return 0
    fi
    limited target/examples/replay --region 4M --policy "$1" "$2"
}

# ---- all of it ----

step 'larder.h compiles in every language' tests/c/compile_header.sh "$out"
programs=$(cd tests/c && ls *.c | sed 's/\.c$//')
for program in $programs; do
    step "$program" build_and_run "$program"
done
for standard in c++11 c++20; do
    if has g++; then
        step "consumer $standard" build_and_run_cpp "$standard"
    else
        skip "consumer $standard: no g++"
    fi
done
for example in c-examples/*.c; do
    example=$(basename "$example" .c)
    step "example $example" limited "target/examples/$example"
done
if [ -n "${LARDER_TRACES:-}" ]; then
    for trace in "$LARDER_TRACES"/*.ids.zst "$LARDER_TRACES"/*.csv.zst; do
        for policy in default lru; do
            step "replay $(basename "$trace"), $policy" replay_trace "$policy" "$trace"
        done
    done
else
    skip 'replay of recorded traces: LARDER_TRACES names no directory; the generated workload ran instead'
fi
for tool in cppcheck clang-tidy; do
    if has "$tool"; then
        step "$tool finds nothing" "$(echo "$tool" | tr - _)_finds_nothing"
    else
        skip "static analysis by $tool: it is not there"
    fi
done
step 'archive is one object' archive_has_one_member
step 'exports are what the header declares' exports_are_the_header
step 'bad input is tried on every function' bad_inputs_are_for_every_function
if has clang; then
    step 'constants, structs and functions are the manifest' abi_is_the_manifest
else
    skip 'ABI manifest: no clang'
fi
step 'no panic is left in the archive' object_cannot_panic
step 'no heap is asked for memory' object_has_no_heap
step 'links beside another Rust library' links_beside_other_rust
if has pkg-config; then
    step 'install' install_into_root
    step 'quickstart with the installed shared library' quickstart_shared
    step 'quickstart with the installed static library' quickstart_static
else
    skip 'install: no pkg-config'
fi
for program in $programs; do
    if has valgrind; then
        step "memcheck of $program" under_valgrind "$program"
    else
        skip "memcheck of $program: no valgrind"
    fi
done
if has valgrind; then
    step 'helgrind of stress_threads' under_helgrind stress_threads
else
    skip 'helgrind of stress_threads: no valgrind'
fi

close c
