#!/bin/sh
# Compiles hiredis 1.x into target/hiredis/libhiredis.a, its headers in target/hiredis/include/hiredis: Debian's is
# older than RESP3. Its C sources are a folder of the Python package of that name, which pip downloads once.
# usage: hiredis.sh
set -eu
cd "$(dirname "$0")/../.."
out=target/hiredis
requirements=tests/near_cache/requirements.txt
[ -f "$out/libhiredis.a" ] && cmp -s "$requirements" "$out/requirements.txt" && exit 0

rm -rf "$out"
mkdir -p "$out/include/hiredis"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: -d "$out" -r "$requirements"
tar -xzf "$out"/hiredis-*.tar.gz -C "$out"
sources=$(echo "$out"/hiredis-*/vendor/hiredis)
cp "$sources"/*.h "$out/include/hiredis"
for source in alloc async hiredis net read sds sockcompat; do
    ${CC:-cc} -std=c99 -D_POSIX_C_SOURCE=200112L -D_DEFAULT_SOURCE -O2 -g -c "$sources/$source.c" -o "$out/$source.o"
done
ar rcs "$out/libhiredis.a" "$out"/*.o
cp "$requirements" "$out/requirements.txt"
