#!/bin/sh
# Compiles a file that includes larder.h twice, as every language that it is for, without a warning.
# usage: compile_header.sh DIRECTORY    (for its files; made where it is missing)
set -eu
cd "$(dirname "$0")/../.."
out=$1
mkdir -p "$out"
passed=0 failed=0

printf '%s\n' '#include <larder.h>' '#include <larder.h>' \
    'int larder_header_compiles(void);' \
    'int larder_header_compiles(void) { return LARDER_OK + (int)sizeof(larder_cache_config); }' >"$out/twice.c"
cp "$out/twice.c" "$out/twice.cpp"

# compile COMPILER LANGUAGE FILE
compile() {
    command -v "$1" >/dev/null || return 0
    if "$1" "-std=$2" -Wall -Wextra -Wpedantic -Werror -Iinclude -c "$out/$3" -o "$out/twice.o"; then
        passed=$((passed + 1))
    else
        echo "larder.h does not compile: $1 -std=$2"
        failed=$((failed + 1))
    fi
}

for language in c99 c11 c17; do
    compile gcc "$language" twice.c
    compile clang "$language" twice.c
done
for language in c++11 c++20; do
    compile g++ "$language" twice.cpp
    compile clang++ "$language" twice.cpp
done

echo "compile_header: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
