#!/bin/sh
# The C and C++ part of the tests: headers, programs, examples, installation, symbols, memory. Runs every step, even
# after failures, and prints the counts at the end. Needs `make lib examples` first.
set -eu
cd "$(dirname "$0")/../.."
out=target/c
archive=target/lib/liblarder.a
. tests/tools/steps.sh

CFLAGS='-std=c99 -O1 -g -Wall -Wextra -Wpedantic -Werror -Iinclude -Itests/c'
CXXFLAGS='-O1 -g -Wall -Wextra -Wpedantic -Werror -Iinclude -Itests/c'
HPPFLAGS='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Iinclude'
LIBS='-lpthread -lm'

# ---- programs ----

build_and_run() {
    cc $CFLAGS "tests/c/$1.c" -o "$out/$1" "$archive" $LIBS && limited "$out/$1"
}

build_and_run_cpp() {
    g++ "-std=$1" $CXXFLAGS tests/c/consumer.cpp -o "$out/consumer-$1" "$archive" $LIBS && limited "$out/consumer-$1"
}

# ---- larder.hpp ----

HPP_TESTS='held items memory values whole'

# cpp_tests COMPILER OPTION...: the tests of larder.hpp; doctest's own part is compiled once
cpp_tests() {
    [ -e "$out/cpp-main.o" ] || g++ -std=c++17 -c tests/cpp/main.cpp -o "$out/cpp-main.o" || return 1
    printf '%s\n' $HPP_TESTS | xargs -P "$(getconf _NPROCESSORS_ONLN)" -I FILE \
        "$@" $HPPFLAGS -c tests/cpp/FILE.cpp -o "$out/cpp-FILE.o" || return 1
    "$@" $(printf "$out/cpp-%s.o " main $HPP_TESTS) "$archive" $LIBS -o "$out/cpp-tests" && limited "$out/cpp-tests"
}

# Runs the first program in docs/cpp.md, and compiles the other pieces.
cpp_page() {
    awk -v main="$out/cpp-page.cpp" -v rest="$out/cpp-pieces.cpp" '
        BEGIN { print "#include <larder.hpp>\n#include <iostream>\n#include <string>\n#include <vector>" >rest }
        /^```cpp$/ { if (++block > 1) print "void piece" block "(larder::cache &cache)\n{" >rest; inside = 1; next }
        /^```$/ { if (inside && block > 1) print "(void)cache;\n}" >rest; inside = 0 }
        inside { print >(block == 1 ? main : rest) }' docs/cpp.md
    g++ -std=c++17 -Wall -Wextra -Werror -Wno-unused -Iinclude -fsyntax-only "$out/cpp-pieces.cpp" &&
        g++ -std=c++17 $HPPFLAGS "$out/cpp-page.cpp" "$archive" $LIBS -o "$out/cpp-page" || return 1
    limited "$out/cpp-page" | grep '^greeting = hello, larder$'
}

# Compiles the pieces of docs/sharing.md; two processes enter by the second one.
sharing_page() {
    awk -v out="$out/sharing-page" '/^```c$/ { file = out "-" ++count ".c"; next } /^```$/ { file = "" }
        file { print >file }' docs/sharing.md
    flags='-std=gnu11 -Wall -Wextra -Werror -Iinclude'
    cc $flags -fsyntax-only "$out/sharing-page-1.c" || return 1
    cat >>"$out/sharing-page-2.c" <<'END' || return 1
#include <sys/wait.h>
int main(void)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    const char *name = "/larder-sharing-page";
    int status = 1;
    pid_t child = fork();
    larder_cache *cache = enter(name, 1 << 20, &config);
    if (child == 0)
        _exit(cache == NULL || larder_cache_set(cache, "key", 3, "value", 5, 0) != LARDER_OK);
    waitpid(child, &status, 0);
    shm_unlink(name);
    return status != 0 || cache == NULL || larder_cache_contains(cache, "key", 3) != LARDER_OK;
}
END
    cc $flags "$out/sharing-page-2.c" "$archive" $LIBS -lrt -o "$out/sharing-page-2" &&
        limited "$out/sharing-page-2"
}

has_doctest() { echo '#include <doctest/doctest.h>' | g++ -x c++ -fsyntax-only - 2>/dev/null; }

# Without exceptions, a memory resource that has no room ends the program by SIGABRT.
cpp_plain() {
    "$@" $HPPFLAGS -DLARDER_BARE_METAL -DLARDER_NO_PMR -fsyntax-only tests/cpp/plain.cpp || return 1
    "$@" $HPPFLAGS -fno-exceptions -fno-rtti tests/cpp/plain.cpp "$archive" $LIBS -o "$out/cpp-plain" || return 1
    result=0
    (ulimit -c 0; limited "$out/cpp-plain" full) || result=$?
    [ $result -eq 134 ] || { echo "not aborted, but $result"; return 1; }
    limited "$out/cpp-plain"
}

under_valgrind() {
    limited valgrind -q --error-exitcode=9 --leak-check=full --fair-sched=try "$out/$1" quick
}

# Uses the host's lock: helgrind knows a pthread mutex, but not the library's spin lock.
under_helgrind() {
    limited valgrind -q --tool=helgrind --error-exitcode=9 --suppressions=tests/c/helgrind.supp --fair-sched=try \
        "$out/$1" hooks
}

# ---- examples ----

# For -h and --help an example prints its usage to stdout and ends with 0. For an unknown argument it prints its usage
# to stderr and ends with 2.
example_refuses_unknown_arguments() {
    for help in -h --help; do
        limited "target/examples/$1" $help >"$out/said" 2>"$out/complained" || return 1
        grep "^usage: $1" "$out/said" && [ ! -s "$out/complained" ] || { echo "$help is not answered"; return 1; }
    done
    for argument in --unknown -x 'unknown argument' --help=no; do
        result=0
        limited "target/examples/$1" "$argument" >"$out/said" 2>"$out/complained" || result=$?
        cat "$out/complained"
        [ $result -eq 2 ] && grep "^usage: $1" "$out/complained" && [ ! -s "$out/said" ] ||
            { echo "'$argument' is not refused"; return 1; }
    done
}

# refused EXAMPLE WORDS ARGUMENT...: checks that the example refuses the arguments and its message has the words
refused() {
    example=$1 words=$2
    shift 2
    ! limited "target/examples/$example" "$@" 2>"$out/complained" && cat "$out/complained" &&
        grep -q -e "$words" "$out/complained"
}

wrong_values_are_refused() {
    refused demo '--interval takes a number from 1 to 60000' --interval 0 &&
        refused demo '--format takes text, json or prometheus' --format xml &&
        refused threads '--threads takes a number from 1 to 64' --threads=65 &&
        refused memory_map '--region takes a number from 65536' --region 63K &&
        refused warm_restart '--size takes a number from 65536' --size x &&
        refused replay '--policy takes default or lru' --policy fifo &&
        refused replay 'ends in none of .ids, .csv' trace.txt &&
        refused replay 'one argument too many' a.ids b.ids
}

# errors of work, not of arguments
errors_say_what_to_do() {
    refused replay 'not enough memory.*give a larger region' --region 1K &&
        refused replay 'ask for a smaller one' --region 1048576G &&
        refused memory_map 'name a file in a directory' --svg "$out/no such directory/picture.svg"
}

memory_map_draws_a_picture() {
    limited target/examples/memory_map --svg "$out/region.svg" | grep "^picture: $out/region.svg$" || return 1
    grep -q '^<svg .*viewBox' "$out/region.svg" && tail -n 1 "$out/region.svg" | grep '^</svg>$'
}

replay_help_explains_its_formats() {
    limited target/examples/replay --help >"$out/said"
    for word in NAME.ids u32 NAME.csv time_s,key_id,key_size,value_size,op,ttl_s key_size ttl_s zstd; do
        grep -q -e "$word" "$out/said" || { echo "--help does not name $word"; return 1; }
    done
    # The example in the help text is a trace.
    { grep -o 'time_s,key_id.*' "$out/said" && sed -n 's/ *Example: *//p' "$out/said"; } >"$out/example.csv"
    limited target/examples/replay "$out/example.csv" | grep '^hits  *0 of 1 gets$'
}

memory_map_has_a_legend() {
    limited target/examples/memory_map >"$out/said"
    sed '/^==/,$d' "$out/said" >"$out/legend"
    cat "$out/legend"
    for sign in : - = + '*' '#' % @ W: M: I: .: _: x; do
        grep -qF -e " $sign" -e "$sign " "$out/legend" || { echo "the legend does not name $sign"; return 1; }
    done
}

# Each part has a sentence, and each percentage fits the usage beside it.
demo_shows_every_part() {
    limited target/examples/demo --interval 50 >"$out/said" || return 1
    for part in Items Optimize Eviction Pressure Expiry Limit; do
        grep -qE "^== $part: .{40}" "$out/said" || { echo "no part $part"; return 1; }
    done
    for term in payload overhead free usage pressure evicted expired; do
        grep -qE "^ +$term +[a-z].{20}" "$out/said" || { echo "$term is not explained"; return 1; }
    done
    awk '
        /^monitor: usage/ { usage = $3; limit = $5; percent = $7 + 0; monitor++ }
        /^ *[0-9]+( +[0-9]+)+ +[0-9]+%/ { usage = $5; limit = $6; percent = $7 + 0; row++ }
        limit && percent != int(usage * 100 / limit) { print "not the percentage of its usage:", $0; wrong = 1 }
        limit { above += percent > 100; if (peak < usage) peak = usage; last = usage; limit = 0 }
        END {
            print row, "rows,", monitor, "checks,", above, "above the limit; usage from", peak, "to", last
            exit wrong || row < 20 || monitor < 3 || above < 1 || last > peak / 1.5
        }' "$out/said"
}

# ---- statistics as text ----

formats=$out/formats
promtool=$(command -v promtool || echo target/promtool/promtool)

writes_formats() {
    rm -rf "$formats"
    mkdir -p "$formats"
    limited "$out/behaviour_print" write "$formats" && [ "$(ls "$formats" | wc -l)" -eq 3 ]
}

# Prometheus's client for Python, installed once, under target/.
has_prometheus_client() {
    [ -x target/formats/bin/python ] || python3 -m venv target/formats || return 1
    timeout 60 target/formats/bin/python -m pip install --quiet --disable-pip-version-check \
        -r tests/c/requirements.txt
}

parsers_read_formats() { limited target/formats/bin/python tests/c/formats.py "$formats"; }

# It also complains of names and units that are not Prometheus's habit.
promtool_finds_nothing() {
    timeout 60 "$promtool" check metrics <"$formats/stats.prom" >"$out/said" 2>&1 && [ ! -s "$out/said" ] ||
        { cat "$out/said"; return 1; }
}

demo_prints_json() {
    limited target/examples/demo --interval 50 --format json | tail -n 1 |
        target/formats/bin/python -c 'import json, sys; print(json.load(sys.stdin)["stats"]["hits"])' | grep '^[1-9]'
}

# On a machine without tools, the demo needs a C compiler and make, but no linters.
demo_asks_for_a_compiler_alone() {
    rm -rf "$out/bare"
    mkdir -p "$out/bare"
    for tool in sh dirname; do ln -s "$(command -v $tool)" "$out/bare/$tool"; done
    printf '#!/bin/sh\n' >"$out/bare/cargo"
    chmod +x "$out/bare/cargo"
    grep -A 1 '^demo:' Makefile | grep 'setup.sh build$' || return 1
    ! PATH=$PWD/$out/bare sh tests/tools/setup.sh build >"$out/said" 2>&1 && cat "$out/said" &&
        grep 'names: gcc libc6-dev binutils make$' "$out/said"
}

# ---- installation ----

root=$PWD/$out/root

pc() {
    PKG_CONFIG_LIBDIR="$root/usr/local/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root" pkg-config "$@" larder
}

install_into_root() {
    rm -rf "$root"
    ${MAKE:-make} --no-print-directory install PREFIX=/usr/local DESTDIR="$root" || return 1
    for file in lib/liblarder.a lib/liblarder.so include/larder.h include/larder.hpp lib/pkgconfig/larder.pc; do
        [ -e "$root/usr/local/$file" ] || { echo "not installed: $file"; return 1; }
    done
    [ "$(pc --modversion)" = "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)" ]
}

quickstart_shared() {
    cc -std=c11 c-examples/quickstart.c $(pc --cflags --libs) -o "$out/quickstart-shared" || return 1
    readelf -d "$out/quickstart-shared" | grep 'NEEDED.*liblarder\.so\.[0-9]*\]' || return 1
    LD_LIBRARY_PATH="$root/usr/local/lib" limited "$out/quickstart-shared"
}

# A program finds the shared library in a directory that the loader does not know, without LD_LIBRARY_PATH.
shared_library_needs_no_hint() {
    elsewhere="$PWD/$out/else where"
    rm -rf "$elsewhere"
    ${MAKE:-make} --no-print-directory install PREFIX="$elsewhere" || return 1
    (
        unset LD_LIBRARY_PATH
        export PKG_CONFIG_LIBDIR="$elsewhere/lib/pkgconfig"
        eval "cc -std=c11 c-examples/quickstart.c $(pkg-config --cflags --libs larder) -o '$out/quickstart-elsewhere'"
        readelf -d "$out/quickstart-elsewhere" | grep NEEDED.*liblarder || exit 1
        limited "$out/quickstart-elsewhere"
    )
}

quickstart_static() {
    cc -std=c11 -static c-examples/quickstart.c $(pc --static --cflags --libs) -o "$out/quickstart-static" || return 1
    limited "$out/quickstart-static"
}

# ---- static analysis ----

# All C sources, without the one that is wrong on purpose.
c_sources() { find c-examples tests -name '*.c' ! -name planted.c | sort; }
INCLUDES='-Iinclude -Ic-examples/firmware -Ic-examples/firmware/boards -Itests/firmware'

# Suppressed checks: those that are wrong when a hook changes memory through its pointer (unreadVariable,
# knownConditionTrueFalse, redundantAssignment), for unions used for alignment (unusedStructMember), and for arrays
# whose end the linker defines (comparePointers); and a matter of style (variableScope, of large static variables).
cppcheck_finds_nothing() {
    cppcheck -U__has_include --quiet --std=c11 --enable=warning,style,portability --error-exitcode=2 $INCLUDES \
        $(printf -- '--suppress=%s ' unreadVariable knownConditionTrueFalse redundantAssignment unusedStructMember \
            comparePointers variableScope) $(c_sources)
}

# Start-up code, and programs that need other systems' headers, are left out: near_cache.c is checked by
# tests/near_cache/run.sh. The analyzer's time grows with the nodes of a function: a table of calls that are wrong on
# purpose would take a minute.
clang_tidy_finds_nothing() {
    c_sources | grep -v -e /boards/ -e tests/dist/ -e near_cache | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN)" sh -c '
        clang-tidy --quiet --config-file=tests/.clang-tidy "$0" -- -std=c11 \
            -Xclang -analyzer-config -Xclang max-nodes=20000 '"$INCLUDES"' 2>/dev/null ||
            echo "found in $0"' >"$out/tidy"
    clang-tidy --quiet --config-file=tests/.clang-tidy tests/cpp/plain.cpp c-examples/quickstart.cpp -- -std=c++17 \
        -Iinclude >"$out/log-cpp" 2>/dev/null || { cat "$out/log-cpp"; echo 'found in C++'; } >>"$out/tidy"
    ! grep -q 'found in' "$out/tidy" || { cat "$out/tidy"; return 1; }
}

# ---- symbols ----

exports() {
    nm "$@" --defined-only | awk 'NF == 3 && $2 ~ /[A-Z]/ { print $3 }' | sort -u
}

declared() {
    cc -E -P include/larder.h | grep -o 'larder_[a-z0-9_]* *(' | tr -d ' (' | sort -u
}

# The bad-input tests call every function.
bad_inputs_are_for_every_function() {
    missing=''
    for function in $(declared); do
        grep -q "$function(" tests/c/bad_input_*.c || missing="$missing $function"
    done
    [ -z "$missing" ] || { echo "no bad_input_*.c calls:$missing"; return 1; }
}

# larder.hpp calls every function, except those that set defaults, which its types have anyway, and the version's.
hpp_calls_every_function() {
    sed 's|//.*||' include/larder.hpp >"$out/hpp-code"
    missing=''
    for function in $(declared | grep -vxE 'larder_(cache|monitor|pool)_config_init|larder_version_(number|string)'); do
        grep -q "\<$function(" "$out/hpp-code" || missing="$missing $function"
    done
    [ -z "$missing" ] || { echo "larder.hpp does not call:$missing"; return 1; }
}

# The ABI that compiled programs rely on equals the committed manifest.
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

# The object has no code that panics, formats or unwinds.
object_cannot_panic() {
    found=$(nm -C "$archive" | grep -E 'core::panicking|core::fmt|begin_unwind|_Unwind_|panic_fmt' || true)
    [ -z "$found" ] || { echo 'the archive can panic:'; echo "$found"; return 1; }
}

# The object imports no allocation function.
object_has_no_heap() {
    nm -u "$archive" | awk 'NF == 2 { print $2 }' | sort -u >"$out/imported"
    cat "$out/imported"
    ! grep -xE 'malloc|calloc|realloc|reallocarray|free|aligned_alloc|posix_memalign|mmap|sbrk|brk' "$out/imported"
}

# A C program can link larder and another static library in Rust, with Rust's standard library.
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

# The program itself compares the value of every hit.
replay_trace() {
    if ! pkg-config --exists libzstd; then
        echo 'no libzstd'
        return 0
    fi
    limited target/examples/replay --region 4M --policy "$1" "$2"
}

# ---- the verdict over all parts ----

# A fake make whose parts end in every way: with our counts, with cargo's, without counts, with a failure.
pretend_make() {
    cat >"$out/make" <<'SH'
#!/bin/sh
case $2 in
setup) echo 'setup: everything is there'; exit "${SETUP:-0}" ;;
ours) echo 'ok    a step (9 passed, 0 failed)'; echo 'c: 30 passed, 2 failed, 1 skipped'; exit 1 ;;
boards) echo 'images: 4 passed, 0 failed, 3 boards skipped' ;;
cargo) for i in 1 2; do echo 'test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out'; done ;;
silent) ;;
broken) echo 'c: 6 passed, 0 failed' >&2; exit 2 ;;
esac
SH
    chmod +x "$out/make"
}

# verdict_is LINE STATUS PART...: checks the last line and the status of the verdict over these parts
verdict_is() {
    line=$1 wanted=$2 result=0
    shift 2
    MAKE=$PWD/$out/make sh tests/tools/verdict.sh "$@" >"$out/said" || result=$?
    cat "$out/said"
    [ "$(tail -n 1 "$out/said")" = "$line" ] && [ $result -eq "$wanted" ]
}

verdict_adds_up_all_parts() {
    pretend_make
    verdict_is '15 passed, 0 failed, 5 skipped' 0 boards cargo silent || return 1
    for need in time downloads disk; do grep "^  $need .*[a-z]" "$out/said" || return 1; done
    verdict_is '51 passed, 3 failed, 6 skipped' 1 ours boards cargo silent broken &&
        SETUP=1 verdict_is '0 passed, 1 failed, 0 skipped' 1 cargo
}

# ---- all of it ----

step 'larder.h compiles in every language' tests/c/compile_header.sh "$out"
programs=$(cd tests/c && ls *.c | sed 's/\.c$//')
for program in $programs; do
    step "$program" build_and_run "$program"
done
step 'the pieces of docs/sharing.md' sharing_page
for standard in c++11 c++20; do
    if has g++; then
        step "consumer $standard" build_and_run_cpp "$standard"
    else
        skip "consumer $standard: no g++"
    fi
done
rm -f "$out/cpp-main.o"
for compiler in g++ clang++; do
    for standard in c++17 c++20; do
        if ! has $compiler; then
            skip "larder.hpp by $compiler as $standard: no $compiler"
            continue
        fi
        step "larder.hpp by $compiler as $standard, no exceptions, no RTTI" cpp_plain $compiler -std=$standard
        if has_doctest; then
            step "tests of larder.hpp by $compiler as $standard" cpp_tests $compiler -std=$standard
        else
            skip "ALL TESTS of larder.hpp by $compiler as $standard: no doctest (Debian: doctest-dev)"
        fi
    done
done
if has_doctest; then
    step 'tests of larder.hpp under AddressSanitizer and UndefinedBehaviorSanitizer' cpp_tests g++ -std=c++17 \
        -g -D_GLIBCXX_ASSERTIONS -fsanitize=address,undefined -fno-sanitize-recover=all
else
    skip 'ALL TESTS of larder.hpp under sanitizers: no doctest (Debian: doctest-dev)'
fi
if has g++; then
    step 'the program and the pieces in docs/cpp.md' cpp_page
else
    skip 'docs/cpp.md: no g++'
fi
for example in $(ls c-examples | sed -n -e 's/\.c$//p' -e 's/\.cpp$/-cpp/p'); do
    [ "$example" != near_cache ] || continue # needs a server: tests/near_cache/run.sh
    if [ ! -x "target/examples/$example" ]; then
        skip "example $example: no C++ compiler built it"
        continue
    fi
    # A server does not end by itself: tests/memcached/run.sh runs it.
    [ "$example" = memcached_server ] || step "example $example" limited "target/examples/$example"
    step "example $example refuses unknown arguments" example_refuses_unknown_arguments "$example"
done
step 'examples refuse wrong values, and say what is right' wrong_values_are_refused
step 'replay --help explains its formats' replay_help_explains_its_formats
step 'memory_map prints a legend' memory_map_has_a_legend
step 'memory_map draws a picture' memory_map_draws_a_picture
step 'errors of examples say what to do' errors_say_what_to_do
step 'demo shows every part' demo_shows_every_part
step 'statistics are printed in three formats' writes_formats
if has_prometheus_client >"$out/log" 2>&1; then
    step "JSON's and Prometheus's parsers read them alike" parsers_read_formats
    step 'demo prints JSON' demo_prints_json
else
    tail -n 3 "$out/log" | sed 's/^/      /'
    skip "parsers of JSON and Prometheus: pip could not install tests/c/requirements.txt: no network?"
fi
if [ -x "$promtool" ]; then
    step 'promtool finds nothing' promtool_finds_nothing
else
    skip 'promtool: it is not there'
fi
step 'demo asks for a compiler alone' demo_asks_for_a_compiler_alone
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
step 'the verdict of make test adds up all parts' verdict_adds_up_all_parts
step 'archive is one object' archive_has_one_member
step 'exports are what the header declares' exports_are_the_header
step 'larder.hpp calls every function of larder.h' hpp_calls_every_function
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
    step 'a program with the shared library needs no hint' shared_library_needs_no_hint
else
    skip 'install: no pkg-config'
fi
# Valgrind's processes are not killed in mid-call, nor stepped.
for program in $(echo $programs | tr ' ' '\n' | grep -vx -e share_kill -e share_steps); do
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
