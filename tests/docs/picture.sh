#!/bin/sh
# Draws docs/region.svg, or the file that is named, from a real region.
# usage: picture.sh FILE
set -eu
cd "$(dirname "$0")/../.."
target/examples/memory_map --region 1M --width 44 --svg "$1" >/dev/null
