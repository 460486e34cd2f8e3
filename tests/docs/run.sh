#!/bin/sh
# The documentation: rustdoc and Doxygen without a warning, the code of every page compiled and run, the picture as it
# is drawn. Needs `make lib target/examples/memory_map` first.
set -eu
cd "$(dirname "$0")/../.."
out=target/docs
. tests/tools/steps.sh

picture_is_drawn_anew() {
    sh tests/docs/picture.sh "$out/region.svg" && cmp docs/region.svg "$out/region.svg" ||
        { echo 'docs/region.svg is another picture: run `make docs`'; return 1; }
}

step 'rustdoc' env RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps
if has doxygen; then
    step 'Doxygen' sh tests/docs/doxygen.sh
else
    skip 'Doxygen is not here'
fi
if has python3 && has g++; then
    step 'code, names, commands and links of all pages' python3 tests/docs/snippets.py
else
    skip 'pages: no python3, or no g++'
fi
step 'the picture of a region' picture_is_drawn_anew
close docs
