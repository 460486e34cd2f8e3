#!/bin/sh
# Checks that the tests find planted faults. usage: sh tests/planted/run.sh
#
# One build has all faults of src/ (`planted::is`), and LARDER_PLANTED selects one. Each suite must pass without a
# fault, and fail with each of its faults in the list below.
set -eu
cd "$(dirname "$0")/../.."
out=target/planted
. tests/tools/steps.sh

# suite (lib: the unit tests): fault
faults='
hitratio : ghosts never consulted
hitratio : ghost added twice
hitratio : rule never switched
hitratio : hits never counted
expiry : expiry off by one
expiry : sweep never notes due
model : rest forgotten by kill
model : sums forget a payload
model : index skipped on relocate
model : chain page leaked by kill
limit : ceiling ignored
limit : limit lowered without shrink
bounded : make_room does nothing
bounded : NoMemory when full
lru : LRU hit not promoting
checksum : checksum not updated
secrets : trims not zeroed
hostile : attach believes a rest
pins : pins forgotten by cleaner
hostile_keys : seed ignored
lib : marks stay
'

# Seconds: a suite that hangs counts as failed.
limit=900

planted() {
    RUSTC_WORKSPACE_WRAPPER="$PWD/tests/planted/rustc.sh" timeout "$limit" cargo test --quiet --locked "$@" </dev/null
}

# Succeeds if the suite fails.
notices() {
    if limit=120 LARDER_PLANTED=$1 planted $(target "$2"); then
        echo "$2 does not notice: $1"
        return 1
    fi
}

target() {
    case $1 in
    lib) echo --lib ;;
    *) echo --test "$1" ;;
    esac
}

suites=$(echo "$faults" | awk 'NF { print $1 }' | sort -u)
step 'the planted build' planted --no-run $(for suite in $suites; do target "$suite"; done)
for suite in $suites; do
    step "without a fault: $suite" planted $(target "$suite")
done
echo "$faults" >"$out/faults"
while read -r suite colon fault; do
    [ -n "$suite" ] || continue
    step "$suite notices: $fault" notices "$fault" "$suite"
done <"$out/faults"
close planted
