#!/bin/sh
# Measures the gain by batches and threads, the time to attach to a full cache, and the instructions of single calls
# through the C interface. Prints a table at the end: the median of each kind, and the longest of 200,000 calls on a
# full cache. Needs `make lib target/examples/threads`, a C compiler and valgrind.
set -eu
cd "$(dirname "$0")/../.."
out=target/calls
mkdir -p "$out"
${CC:-cc} -std=c11 -D_DEFAULT_SOURCE -O2 -g -Wall -Wextra -Iinclude benches/calls/many.c \
    -o "$out/many" target/lib/liblarder.a -lpthread -lm
for items in ${MANY:-6500 3200000}; do
    "$out/many" "$items"
done
${CC:-cc} -std=c11 -O2 -g -Wall -Wextra -Iinclude benches/calls/attach.c -o "$out/attach" target/lib/liblarder.a \
    -lpthread -lm
"$out/attach" 1000000
"$out/attach" 1000000 checksum
target/examples/threads | sed -n '/1 thread/s/^ *//p'
command -v valgrind >/dev/null || { echo 'bench-calls: needs valgrind'; exit 1; }
${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -g -Wall -Wextra -Iinclude benches/calls/calls.c \
    -o "$out/calls" target/lib/liblarder.a -lpthread -lm

# Makes one table of the lines: a row for each call, a column for each number of items.
table() {
    awk '
        { column = ($1 == "mixed" ? $1 : $1 " B") ", " $2 " items" }
        !(column in known) { known[column]; columns[++width] = column }
        !($3 in least) { calls[++height] = $3; least[$3] = most[$3] = $4 }
        $4 < least[$3] { least[$3] = $4 }
        $4 > most[$3] { most[$3] = $4 }
        { longest[$3, column] = $5 }
        END {
            head = "| call | median"; rule = "|---|---"
            for (i = 1; i <= width; i++) { head = head " | longest: " columns[i]; rule = rule "|---" }
            print head " |\n" rule "|"
            for (j = 1; j <= height; j++) {
                row = "| " calls[j] " | " least[calls[j]] " to " most[calls[j]]
                for (i = 1; i <= width; i++) row = row " | " longest[calls[j], columns[i]]
                print row " |"
            }
        }' "$1"
}

printf '%-8s %8s  %-11s %7s %8s %6s\n' values items call median longest ratio
for shape in ${SHAPES:-64 mixed}; do
    for items in ${ITEMS:-1000 100000 1000000}; do
        rm -f "$out"/dump*
        "$out/calls" time "$items" "$shape" >"$out/list"
        valgrind -q --tool=callgrind --instr-atstart=no --callgrind-out-file="$out/dump" \
            "$out/calls" count "$items" "$shape" "$out/list" 2>"$out/log"
        # Every count includes the marks around the call: some ten instructions.
        for dump in "$out"/dump.*; do
            awk '/^desc: Trigger: Client Request: / { kind = $5; why = $6 } /^summary: / { sum = $2 }
                 /^totals: / { if (!sum) sum = $2 } END { if (kind != "") print kind, why, sum }' "$dump"
        done | sort -k1,1 -k3,3n | awk -v shape="$shape" -v items="$items" '
            function flush() {
                if (kind != "" && n > 0)
                    printf "%-8s %8d  %-11s %7d %8d %6.1f\n", shape, items, kind, samples[int((n + 1) / 2)], most,
                        most / samples[int((n + 1) / 2)]
            }
            $1 != kind { flush(); kind = $1; n = 0; most = 0 }
            $2 == "sample" { samples[++n] = $3 }
            { if ($3 > most) most = $3 }
            END { flush() }'
    done
done | tee "$out/rows"
echo
table "$out/rows"
sh benches/calls/items.sh
sh benches/calls/advice.sh
echo
sh benches/calls/pool.sh
