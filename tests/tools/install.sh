#!/bin/sh
# Installs the output of `make lib`: libraries, headers, larder.pc, and the package for CMake's find_package, which
# needs cmake. A program built by pkg-config or CMake finds the shared library at run time. If the loader does not know
# the directory, larder.pc sets the program's run path; otherwise the loader's cache is renewed.
# usage: install.sh PREFIX DESTDIR VERSION
set -eu
cd "$(dirname "$0")/../.."
prefix=$1 destdir=$2 version=$3
to=$destdir$prefix
soname=liblarder.so.${version%%.*}
PATH=$PATH:/usr/sbin:/sbin

loader_knows() {
    [ "$1" = /usr/lib ] || ldconfig -v -N -X 2>/dev/null | awk -v line="$1:" 'index($0, line) == 1 { found = 1 }
        END { exit !found }'
}

install -d "$to/lib/pkgconfig" "$to/include"
install -m 644 target/lib/liblarder.a "$to/lib/liblarder.a"
install -m 755 "target/lib/liblarder.so.$version" "$to/lib/liblarder.so.$version"
ln -sf "liblarder.so.$version" "$to/lib/$soname"
ln -sf "$soname" "$to/lib/liblarder.so"
install -m 644 include/larder.h include/larder.hpp "$to/include"

# pkg-config reads a space as the end of a word.
words=$(echo "$prefix" | sed 's/ /\\\\ /g')
rpath=' -Wl,-rpath,${libdir}'
if loader_knows "$prefix/lib"; then rpath=''; fi
sed -e "s|@prefix@|$words|; s|@libdir@|lib|; s|@version@|$version|; s|@cflags@||; s|@libs@| -lpthread -lm|" \
    -e "s|@rpath@|$rpath|" larder.pc.in >"$to/lib/pkgconfig/larder.pc"

if command -v cmake >/dev/null; then
    pointer=$(echo __SIZEOF_POINTER__ | ${CC:-cc} -E -P -)
    rm -rf target/install
    cmake -S . -B target/install -DLARDER_PREBUILT="$PWD/target/lib/liblarder.a" -DCMAKE_SIZEOF_VOID_P="$pointer" \
        -DCMAKE_INSTALL_LIBDIR=lib >/dev/null
    DESTDIR=$destdir cmake --install target/install --prefix "$prefix" --component package >/dev/null
else
    echo 'install: there is no cmake, so no package for find_package: install cmake, then run this again'
fi

if [ -z "$destdir$rpath" ]; then
    ldconfig 2>/dev/null || echo 'install: as root, run ldconfig: programs find the shared library then'
fi
echo "install: larder $version is in $to"
