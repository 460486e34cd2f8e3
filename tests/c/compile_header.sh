#!/bin/sh
# Compiles a file that includes larder.h twice and uses each initializer, in every supported language, without a
# warning.
# usage: compile_header.sh DIRECTORY    (for its files; made if missing)
set -eu
cd "$(dirname "$0")/../.."
out=$1
mkdir -p "$out"
passed=0 failed=0

# Lines of "STRUCTURE INITIALIZER": in the header each initializer follows its structure.
awk '/^} larder_/ { name = $2; sub(/;/, "", name) } /^#define LARDER_[A-Z_]*_INIT / { print name, $2 }' \
    include/larder.h >"$out/initializers"

{
    printf '%s\n' '#include <larder.h>' '#include <larder.h>' 'int larder_header_compiles(void);'
    printf '%s\n' 'int larder_header_compiles(void)' '{' '    uint64_t sum = LARDER_OK + LARDER_PAGE_FREE;'
    while read -r structure initializer; do
        printf '    { static const %s fixed = %s; %s one = %s; one = fixed; sum += sizeof one; }\n' \
            "$structure" "$initializer" "$structure" "$initializer"
    done <"$out/initializers"
    printf '%s\n' '    return sum != LARDER_TTL_NEVER;' '}'
} >"$out/twice.c"
cp "$out/twice.c" "$out/twice.cpp"

# compile COMPILER FILE OPTION...
compile() {
    command -v "$1" >/dev/null || return 0
    compiler=$1 file=$2
    shift 2
    if "$compiler" -Wall -Wextra -Wpedantic -Wconversion -Werror "$@" -Iinclude -c "$out/$file" -o "$out/twice.o"; then
        passed=$((passed + 1))
    else
        echo "larder.h does not compile: $compiler $*"
        failed=$((failed + 1))
    fi
}

# C90 and C++98 need 64-bit integers, which their standards do not have.
for language in c90 c99 c11 c17; do
    compile gcc twice.c "-std=$language" -Wno-long-long
    compile clang twice.c "-std=$language" -Wno-long-long
done
for language in c++98 c++11 c++17 c++20; do
    compile g++ twice.cpp "-std=$language" -Wno-long-long
    compile clang++ twice.cpp "-std=$language" -Wno-long-long
done
compile clang twice.c -std=c90 -Wno-long-long --target=armv7m-none-eabi -ffreestanding
if [ "$(wc -l <"$out/initializers")" -lt 10 ]; then
    echo 'larder.h has few initializers'
    failed=$((failed + 1))
fi

echo "compile_header: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
