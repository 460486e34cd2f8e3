#!/bin/sh
# Runs the parts of `make test`, each to its end even after failures, and prints one line over all of them:
#     N passed, N failed, N skipped
# A part is a target of the Makefile. Its counts are its own closing lines: those of our scripts (steps.sh) and cargo's.
# A part without counts is one check. A part with a bad status has at least one failure. Ends with 1 if any part failed.
# The parts' output is also in target/test.
# usage: [MAKE=make] verdict.sh PART...
set -eu
cd "$(dirname "$0")/../.."
out=target/test
passed=0 failed=0 skipped=0
started=$(date +%s)
mkdir -p "$out"

needs() {
    cat <<TEXT
make test: $*
  time      about thirty-five minutes on two cores
  downloads about 725 MB of Debian packages where none of them is installed, and 50 MB of crates,
            15 MB of Python packages
  disk      3.8 GB for these packages, some GB for target/: the end says how many
  tools     Rust; through apt-get, where it is there, whatever else is missing. What cannot be had is skipped:
            without a nightly Rust, fuzzing and most of the sanitizers
TEXT
}

# run PART: its status is in $out/PART.status
run() {
    echo "== $1"
    {
        status=0
        ${MAKE:-make} --no-print-directory "$1" 2>&1 || status=$?
        echo $status >"$out/$1.status"
    } | tee "$out/$1.log"
}

# counts PART: the numbers of passed, failed and skipped checks
counts() {
    awk -v status="$(cat "$out/$1.status")" '
        /^test result: / { passed += $4; failed += $6; skipped += $8 }
        /^[a-z]+: [0-9]+ passed, [0-9]+ failed/ { passed += $2; failed += $4; skipped += $6 }
        END {
            if (status != 0 && failed == 0) failed = 1
            if (passed + failed + skipped == 0) passed = 1
            print passed + 0, failed + 0, skipped + 0
        }' "$out/$1.log"
}

verdict() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}

needs "$@"
run setup
if [ "$(cat "$out/setup.status")" -ne 0 ]; then
    failed=1
    verdict
    exit
fi
for part; do
    run "$part"
    counts "$part" >"$out/$part.counts"
    read -r part_passed part_failed part_skipped <"$out/$part.counts"
    passed=$((passed + part_passed)) failed=$((failed + part_failed)) skipped=$((skipped + part_skipped))
done

echo "== all parts, $((($(date +%s) - started) / 60)) minutes; target/ has $(du -sh target | cut -f 1)"
for part; do
    read -r part_passed part_failed part_skipped <"$out/$part.counts"
    printf '%-16s %6d passed %4d failed %4d skipped\n' "$part" "$part_passed" "$part_failed" "$part_skipped"
done
verdict
