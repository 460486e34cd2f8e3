#!/bin/sh
# Makes the references of the interfaces in C and C++, target/doxygen/c/html and target/doxygen/cpp/html. Fails on any
# warning; in C, on a declaration without a comment, too.
set -eu
cd "$(dirname "$0")/../.."
out=target/doxygen
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

# reference NAME FILE EXTRACT_ALL OPTION...
reference() {
    name=$1 file=$2 all=$3
    shift 3
    mkdir -p "$out/$name"
    printf '%s\n' 'PROJECT_NAME = larder' "PROJECT_NUMBER = $version" 'GENERATE_LATEX = NO' 'HAVE_DOT = NO' \
        'QUIET = YES' 'WARN_AS_ERROR = FAIL_ON_WARNINGS' 'JAVADOC_AUTOBRIEF = YES' 'MACRO_EXPANSION = YES' \
        'EXPAND_ONLY_PREDEF = YES' "EXTRACT_ALL = $all" "INPUT = $file" "OUTPUT_DIRECTORY = $out/$name" "$@" | doxygen -
    echo "$out/$name/html/index.html"
}

rm -rf "$out"
mkdir -p "$out"
# For Doxygen: comments that begin with two stars, no dot that ends a list, and a comment for each initializer.
sed -e 's|^\( *\)/\* |\1/** |' -e '1s|^/\*\*|/** @file\n *|' -e 's|^/\*\* ===*$|/* ===|' -e 's|_\.\.\.*|_…|g' \
    -e 's|^#define LARDER_[A-Z_]*_INIT |/** Initializes the structure above. */\n&|' \
    -e 's|^#define LARDER_HOSTED$|/** Defined unless LARDER_BARE_METAL is. */\n&|' include/larder.h >"$out/larder.h"
reference c "$out/larder.h" NO 'OPTIMIZE_OUTPUT_FOR_C = YES' 'PREDEFINED = LARDER_HOSTED=1'
reference cpp include/larder.hpp YES 'EXTENSION_MAPPING = hpp=C++' 'PREDEFINED = LARDER_HOSTED=1'
