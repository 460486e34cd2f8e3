#!/bin/sh
# Hit ratios of the small build, with the features of `make firmware`, beside those of the full engine. Both are built
# for this machine and get the same requests in regions of equal bytes. Hit ratios are means over seeds of the hash.
# Prints a line for each trace and region, then the mean for each region over the lines with at least 1% of hits in
# either build.
# usage: [LARDER_TRACES=directory] [FEATURES=small,one-rule] small.sh [ARGUMENT...]   arguments: those of hitratio
set -eu
cd "$(dirname "$0")/../.."
out=target/bench-small
mkdir -p "$out"

# hits FILE FLAG...: the hit ratios of a build with these flags
hits() {
    file=$1
    shift
    cargo bench --quiet --bench hitratio "$@" >"$file"
}

hits "$out/full" -- --regions 16,64 "$@"
hits "$out/small" --no-default-features --features "${FEATURES:-small}" -- --regions 16,64 "$@"
sort -s -n "$out/full" >"$out/full.sorted"
sort -s -n "$out/small" >"$out/small.sorted"
awk -F '\t' '
    NF < 3 { next }
    FNR == NR { full[$1, $2] = $3; next }
    !head++ { printf "%-8s %-28s %7s %7s %7s\n", "region", "trace", "full", "small", "points" }
    {
        before = full[$1, $2]
        counts = before >= 1 || $3 >= 1
        printf "%-8s %-28s %7.2f %7.2f %+7.2f%s\n", $1, $2, before, $3, $3 - before, counts ? "" : "  (left out)"
        if (!counts) next
        if (!($1 in cells)) regions[++width] = $1
        cells[$1]++; fulls[$1] += before; smalls[$1] += $3
        if (!($1 in worst) || $3 - before < worst[$1]) { worst[$1] = $3 - before; where[$1] = $2 }
    }
    END {
        print "\n| region | cells | full engine hits | small build hits | difference in points | worst |"
        print "|---|---|---|---|---|---|"
        for (i = 1; i <= width; i++) {
            r = regions[i]; n = cells[r]
            printf "| %s | %d | %.2f%% | %.2f%% | %+.2f | %+.2f (%s) |\n", r, n, fulls[r] / n, smalls[r] / n,
                (smalls[r] - fulls[r]) / n, worst[r], where[r]
        }
    }' "$out/full.sorted" "$out/small.sorted"
