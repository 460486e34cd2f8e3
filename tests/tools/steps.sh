# For test scripts, which source it with $out as their directory for files: steps that are all run, whatever the ones
# before them said, and counted.
passed=0 failed=0 skipped=0
mkdir -p "$out"

# What a log's end says was counted, by our own programs, by Rust's tests or by doctest.
counted() {
    tail -n 3 "$1" | sed -n -e 's/^[a-z_]*: \([0-9]* passed, 0 failed\)$/ (\1)/p' \
        -e 's/^\[doctest\] test cases: .* \([0-9]* passed\) | \(0 failed\).*/ (\1, \2)/p' \
        -e 's/^test result: ok\. \([0-9]* passed; 0 failed\);.*/ (\1)/p' | tail -n 1
}

# step NAME COMMAND...: one test; its output is shown where it fails
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

# close NAME: the closing line; whether nothing failed
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
