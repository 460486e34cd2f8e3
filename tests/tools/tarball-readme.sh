#!/bin/sh
# Prints the README of a tarball: its contents and its use. tests/dist/run.sh checks that every file named in it exists,
# and that its program runs.
# usage: tarball-readme.sh TARGET VERSION COMPILER
set -eu
cd "$(dirname "$0")/../.."
target=$1 version=$2 compiler=$3

is_firmware() { case $target in *-none-*) ;; *) return 1 ;; esac; }

cat <<TEXT
# larder $version for $target

A cache that lives in the memory that you give it: an arena, a block pool, a cache and a memory monitor inside one
region of yours. This is the library for C and C++; using it takes no Rust.

Built by \`$compiler\`.

| file | what it is |
|---|---|
| \`include/larder.h\` | the interface and its documentation |
| \`include/larder.hpp\` | the same for C++17 |
TEXT

if is_firmware; then
    cat <<'TEXT'
| `lib/liblarder.a` | the library; it asks for mem* and for the helpers of the C compiler |
| `lib/liblarder-nolibc.a` | the library with these, for images without a C library |
| `lib/pkgconfig/larder.pc` | for pkg-config |
| `lib/cmake/larder` | for CMake's find_package |
| `CMakeLists.txt` | for CMake's FetchContent and add_subdirectory |
| `zephyr` | for Zephyr |
| `library.json` | for PlatformIO |
TEXT
    case $target in riscv32*) echo '| `idf_component.yml` | for ESP-IDF |' ;; esac
else
    cat <<'TEXT'
| `lib/liblarder.a` | the static library |
| `lib/liblarder.so` | the shared library |
| `lib/pkgconfig/larder.pc` | for pkg-config |
| `lib/cmake/larder` | for CMake's find_package |
| `CMakeLists.txt` | for CMake's FetchContent and add_subdirectory |
TEXT
fi
cat <<'TEXT'
| `CHANGELOG.md` | what is new |
| `LICENSE-MIT`, `LICENSE-APACHE` | larder's licences: MIT or Apache-2.0, as you like |
| `LICENSE-THIRD-PARTY` | the licences of the code that larder is built with |

The directory may lie anywhere.

TEXT

if is_firmware; then
    cat <<'TEXT'
- **C compiler**: `-DLARDER_BARE_METAL -Iinclude`, and `lib/liblarder.a` behind your objects.
- **CMake**: find_package(larder) with this directory in CMAKE_PREFIX_PATH, or FetchContent; link larder::larder.
- **Zephyr**: this directory in ZEPHYR_EXTRA_MODULES, and CONFIG_LARDER=y.
- **PlatformIO**: this tarball in lib_deps, and -DLARDER_BARE_METAL in build_flags.
TEXT
    case $target in
    riscv32*) echo '- **ESP-IDF**: this directory as components/larder, for ESP32-C5, C6, C61 and H2.' ;;
    esac
else
    cat <<'TEXT'
- **pkg-config**: this directory's `lib/pkgconfig` in PKG_CONFIG_PATH. Programs find the shared library where it lies
  now.
- **CMake**: find_package(larder) with this directory in CMAKE_PREFIX_PATH, or FetchContent; link larder::larder, or
  larder::shared.

A program, main.c:

TEXT
    awk '/^```c$/ { inside = 1 } inside { print } inside && /^```$/ { exit }' README.md
    cat <<'TEXT'

```sh
export PKG_CONFIG_PATH="$PWD/lib/pkgconfig"
cc -std=c11 main.c -o main $(pkg-config --cflags --libs larder)
./main
```
TEXT
fi
