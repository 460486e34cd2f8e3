#!/bin/sh
# larder-tool, as a user runs it, over traces that are made up here; its report in a browser, where there is one. Runs
# every step, whatever the ones before it said, and closes with how many passed.
# usage: run.sh      needs `make lib target/examples/threads` first
set -eu
cd "$(dirname "$0")/../.."
out=$PWD/target/tool-test
tool=$PWD/target/debug/larder-tool
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
rm -rf "$out"
. tests/tools/steps.sh

builds() { cargo build --quiet --features tool --bin larder-tool; }
rust_tests() { cargo test --quiet --features tool --bin larder-tool; }

# The program is built from what the package has, too; the steps after this one use that.
packaged() {
    cargo package --quiet --allow-dirty --no-verify --target-dir "$out" &&
        tar -xzf "$out/package/larder-$version.crate" -C "$out" &&
        (cd "$out/larder-$version" && cargo build --quiet --features tool --bin larder-tool --target-dir "$out/..") &&
        limited "$tool" --version | grep "^larder-tool $version$"
}

library_has_none_of_it() {
    cargo tree --edges normal --no-default-features --features alloc,hosted,spin,serde >"$out/tree" &&
        grep -q hashbrown "$out/tree" && ! grep -E 'clap|indicatif|plotters|ratatui|ruzstd|png|epaint' "$out/tree"
}

# ---- the command line ----

helps() {
    for command in '' replay curve report top size; do
        limited "$tool" $command --help >"$out/said" && grep -q '^Usage: larder-tool' "$out/said" || return 1
    done
}

# refused STATUS WORDS ARGUMENT...: ends with that status, and says what would be right
refused() {
    wanted=$1 words=$2 status=0
    shift 2
    limited "$tool" "$@" 2>"$out/complained" >/dev/null || status=$?
    cat "$out/complained"
    [ $status -eq "$wanted" ] && grep -q -e "$words" "$out/complained"
}

errors_say_what_is_right() {
    printf 'time_s,key_id,key_size,value_size,op,ttl_s\n0,1,8,8,get,0\n0,1,8,8,put,0\n' >"$out/wrong.csv"
    printf 'abcde' >"$out/wrong.ids"
    printf 'key=a exp=-1 la=1 cas=1 fetch=no cls=1 size=99\nkey=b\n' >"$out/wrong.dump"
    printf 'key=a exp=-1 la=1 cas=1 fetch=no cls=1 size=99\n' >"$out/sets.dump"
    refused 1 'wrong.csv:3: .*expected get, set or delete' replay "$out/wrong.csv" &&
        refused 1 'wrong.ids: 1 bytes at the end, behind 1 numbers' replay "$out/wrong.ids" &&
        refused 1 'wrong.dump:2: .*expected key=' replay "$out/wrong.dump" &&
        refused 1 'without gets there is no hit ratio' curve "$out/sets.dump" -o "$out/x.svg" &&
        refused 1 'ends in .svg or .png' curve "$out/keys.txt" -o "$out/x.gif" &&
        refused 1 'the least memory, 2 MiB, has to be below' curve "$out/keys.txt" --from 2M --to 1M &&
        refused 1 'no cache fits in 100 bytes' replay "$out/keys.txt" --memory 100 &&
        refused 1 'No such file' top "$out/none.stats" &&
        refused 1 'not a file of statistics' top "$out/keys.txt" &&
        refused 2 'it is a number of bytes, or 64K' replay "$out/keys.txt" --memory 1.5M &&
        refused 2 'required' size --items 10 &&
        refused 2 'unrecognized subcommand' replya
}

# ---- traces ----

replays() {
    printf 'a\nb\na\na\n' | timeout 60 "$tool" replay - --memory 64K >"$out/said" || return 1
    cat "$out/said"
    grep -q '^gets       2 hits of 4: 50.00%$' "$out/said" && grep -q '^items      2 held, 2 sets' "$out/said"
}

replays_a_dump() {
    printf 'key=a exp=-1 la=9 cas=1 fetch=no cls=1 size=99\nkey=b exp=-1 la=8 cas=2 fetch=yes cls=1 size=99\nEND\n' |
        timeout 60 "$tool" replay - --memory 64K | grep '^items      2 held, 2 sets'
}

# A cache of that size holds all of the items; one of three quarters does not.
size_is_enough() {
    awk 'BEGIN { for (i = 0; i < 20000; i++) printf "key:%012d\n", i }' >"$out/all.txt"
    limited "$tool" size --items 20000 --key 16 --value 100 >"$out/said" || return 1
    bytes=$(sed -n 's/^memory     \([0-9]*\) bytes.*/\1/p' "$out/said")
    limited "$tool" replay "$out/all.txt" --memory "$bytes" | grep '^items      20000 held, 20000 sets, 0 evictions' &&
        limited "$tool" replay "$out/all.txt" --memory $((bytes * 3 / 4)) | grep 'sets, [1-9][0-9]* evictions' &&
        limited "$tool" size --trace "$out/all.txt" | cmp - "$out/said"
}

# No line is above the optimum, larder's is above LRU's where memory is short, and all meet where it is enough.
draws_curves() {
    limited "$tool" curve "$out/keys.txt" -o "$out/keys.svg" -o "$out/keys.png" >"$out/said" || return 1
    cat "$out/said"
    awk 'NF == 5 && $2 ~ /B$/ {
            lines++
            if ($3 > $5 || $4 > $5) above++
            if (lines < 9 && $3 > $4) better++
            last = $3 - $5
        }
        END { exit !(lines == 15 && above == 0 && better == 8 && last == 0) }' "$out/said" &&
        head -c 4 "$out/keys.svg" | grep -q '^<svg' && head -c 4 "$out/keys.png" | grep -q PNG &&
        [ "$(grep -o '<circle' "$out/keys.svg" | wc -l)" -eq 45 ] && grep -q 'predicts, from its own sample' "$out/said"
}

documented_curve_is_drawn() {
    sh tests/tool/trace.sh | timeout 60 "$tool" curve - -o "$out/curve.svg" >/dev/null &&
        cmp "$out/curve.svg" docs/curve.svg
}

# What docs/tool.md shows is what the program says. After a change of the policy, both are renewed from here.
page_is_true() {
    limited "$tool" size --items 100000 --key 16 --value 100 >"$out/said" || return 1
    sed -n 's/^> //p' docs/tool.md | tr '\n' ' ' | sed 's/ $//' >"$out/advice"
    limited "$tool" report "$out/keys.txt" -o "$out/page.html" >"$out/reported" && cat "$out/reported" &&
        grep -q -F -x -f "$out/advice" "$out/reported" &&
        ! { limited "$tool" replay "$out/wrong.csv" 2>&1 | sed "s|$out/wrong|trace|"; cat "$out/said"; } |
            while IFS= read -r line; do grep -q -x -F -e "$line" docs/tool.md || echo "not in the page: $line"; done |
            grep .
}

# ---- the report, in a browser ----

# browse SCHEME ARGUMENT...: 0 = dark, 1 = light
browse() {
    scheme=$1
    shift
    rm -rf "$out/profile"
    timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync --user-data-dir="$out/profile" \
        --hide-scrollbars --window-size=1000,2300 "--blink-settings=preferredColorScheme=$scheme" \
        --enable-logging=stderr "$@" 2>"$out/console"
}

reports() {
    limited "$tool" report "$out/keys.txt" -o "$out/report.html" >"$out/said" && cat "$out/said" &&
        grep -q 'of gets hit\. Twice the memory would bring' "$out/said" &&
        ! grep -E 'src=|href="[^d]|url\(|<script' "$out/report.html"
}

is_quiet() { ! grep CONSOLE "$out/console"; }

opens_without_an_error() {
    browse 1 "--screenshot=$out/light.png" "file://$out/report.html" && [ -s "$out/light.png" ] && is_quiet &&
        browse 0 "--screenshot=$out/dark.png" "file://$out/report.html" && [ -s "$out/dark.png" ] && is_quiet &&
        ! cmp -s "$out/light.png" "$out/dark.png"
}

a_planted_error_is_seen() {
    { cat "$out/report.html" && echo '<script>undefined_name()</script>'; } >"$out/planted.html"
    browse 1 --dump-dom "file://$out/planted.html" >/dev/null && ! is_quiet
}

# labels PAGE SCHEME: what tests/tool/labels.html says of it
labels() {
    cat "$1" tests/tool/labels.html >"$out/labels.html"
    browse "$2" --dump-dom "file://$out/labels.html" | sed -n 's/.*\(\(dark\|light\): [0-9]* labels, .*\)/\1/p'
}

labels_can_be_read() {
    labels "$out/report.html" 1 >"$out/said" && labels "$out/report.html" 0 >>"$out/said"
    cat "$out/said"
    grep -q '^light: [2-9][0-9] labels, 0 faults' "$out/said" &&
        grep -q '^dark: [2-9][0-9] labels, 0 faults' "$out/said"
}

planted_labels_are_seen() {
    sed 's/font-size="[0-9.]*"/font-size="50"/g' "$out/report.html" >"$out/planted.html"
    labels "$out/planted.html" 1 | grep 'labels, [1-9][0-9]* faults'
}

# ---- a running program ----

top_shows_a_running_program() {
    target/examples/threads --seconds 5 --stats "$out/threads.stats" >"$out/threads.log" &
    program=$!
    trap 'kill $program 2>/dev/null' EXIT
    sleep 1
    limited "$tool" top --once --interval 600 "$out/threads.stats" >"$out/said" || return 1
    cat "$out/said"
    kill $program
    wait $program || true
    trap - EXIT
    grep -q "process $program\$" "$out/said" && grep -q '8 shards' "$out/said" && grep -q '% now, ' "$out/said" &&
        grep -q 'gets  *[1-9][0-9,]*  *[1-9][0-9,]*  *evictions' "$out/said" && grep -q 'main  *[1-9]' "$out/said"
}

# On a terminal it draws, and a q ends it.
top_is_live() {
    { sleep 1; printf q; } | timeout 20 script -qec \
        "stty rows 30 cols 100; exec '$tool' top '$out/threads.stats' --interval 200" "$out/screen" >/dev/null &&
        grep -a -q evictions "$out/screen" && grep -a -q window "$out/screen"
}

# ---- all of it ----

step 'larder-tool is built' builds
step 'tests of its parts' rust_tests
step 'the library has none of its dependencies' library_has_none_of_it
step 'the package has all of it' packaged
sh tests/tool/trace.sh >"$out/keys.txt"
step 'each command explains itself' helps
step 'errors say what would be right' errors_say_what_is_right
step 'a trace is replayed' replays
step "a dump of memcached's keys is replayed" replays_a_dump
step 'the size that it says is enough' size_is_enough
step 'curves: nothing is above the optimum' draws_curves
step 'the curve in docs/ is what it draws' documented_curve_is_drawn
step 'docs/tool.md shows what the program says' page_is_true
step 'a report is written, and refers to nothing outside' reports
if has chromium; then
    step 'a browser opens the report without an error, light and dark' opens_without_an_error
    step 'a planted error is seen' a_planted_error_is_seen
    step 'its labels can be read, light and dark' labels_can_be_read
    step 'planted labels that cannot be read are seen' planted_labels_are_seen
else
    skip 'the report in a browser: no chromium'
fi
step 'top shows a running program' top_shows_a_running_program
if has script; then
    step 'top is live on a terminal, and a q ends it' top_is_live
else
    skip 'top on a terminal: no script (bsdutils)'
fi

close tool
