# Sourced by test scripts, with $out as their directory for files. Runs and counts steps; all run, even after failures.
passed=0 failed=0 skipped=0
mkdir -p "$out"

# The counts at a log's end, as our own programs, Rust's tests or doctest print them.
counted() {
    tail -n 3 "$1" | sed -n -e 's/^[a-z_]*: \([0-9]* passed, 0 failed\)$/ (\1)/p' \
        -e 's/^\[doctest\] test cases: .* \([0-9]* passed\) | \(0 failed\).*/ (\1, \2)/p' \
        -e 's/^test result: ok\. \([0-9]* passed; 0 failed\);.*/ (\1)/p' | tail -n 1
}

# step NAME COMMAND...: one test; prints its output if it fails
step() {
    name=$1
    shift
    if "$@" >"$out/log" 2>&1; then
        passed=$((passed + 1))
        echo "ok    $name$(counted "$out/log")"
    else
        failed=$((failed + 1))
        echo "FAIL  $name"
        tail -n 60 "$out/log" | sed 's/^/      /'
    fi
}

skip() {
    skipped=$((skipped + 1))
    echo "skip  $1"
}

# close NAME: prints the closing line; succeeds if nothing failed
close() {
    if [ "$skipped" -gt 0 ]; then
        echo "$1: $passed passed, $failed failed, $skipped skipped"
    else
        echo "$1: $passed passed, $failed failed"
    fi
    [ "$failed" -eq 0 ]
}

has() { command -v "$1" >/dev/null; }
limited() { timeout 900 "$@" </dev/null; }
