#!/bin/sh
# Prints a table of larder's sizes on each target: bytes of the whole interface and of a program with init, set, get and
# delete alone, and the deepest stack. Then, for the first target, the bytes that further functions add to that program.
# If images have measured them, also the stack of each function, the instructions of calls in full caches, and the
# payload share of these caches.
# Ends with 1 if a budget of tests/firmware/budgets.txt is exceeded. LARDER_BLESS=1 rewrites the budgets, somewhat above
# the present values (`slack` below). Builds missing libraries.
#
# text and rodata are those of the object. Unwind tables do not count, since linkers merge them into one entry.
# usage: [TARGETS='...'] [LARDER_BLESS=1] size.sh
set -eu
cd "$(dirname "$0")/../.."
. tests/tools/target.sh
budgets=tests/firmware/budgets.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

small_program='larder_cache_init larder_cache_set larder_cache_get larder_cache_delete'

# The aims for the smallest core.
aim() {
    case $1-$2 in
    thumbv6m-none-eabi-whole) echo 14336 ;;
    thumbv6m-none-eabi-small) echo 6144 ;;
    thumbv6m-none-eabi-stack) echo 512 ;;
    *) echo - ;;
    esac
}

roots() { "${prefix}nm" -g --defined-only "$1" | awk '$2 == "T" { print $3 }'; }

# join OBJECT ROOTS INPUT...: links one object of all code that the roots reach
join() {
    object=$1
    roots=$2
    shift 2
    "${prefix}ld" $emulation -r --gc-sections $(printf -- '-u %s ' $roots) -o "$object" "$@" 2>"$work/ld.log" ||
        { cat "$work/ld.log" >&2; return 1; }
}

# sections OBJECT: bytes of text, rodata, data and bss
sections() {
    "${prefix}size" -A -d "$1" | awk '
        /^\.text/ { text += $2 }
        /^\.s?rodata|^\.data\.rel\.ro/ { rodata += $2; next }
        /^\.s?data/ { data += $2 }
        /^\.s?bss/ { bss += $2 }
        END { printf "%d %d %d %d\n", text, rodata, data, bss }'
}

# The usual C library of firmware for this target: the stacks of its mem* may be deeper than necessary.
c_library() {
    [ -n "$libc" ] || return 0
    echo 'int main(void) { return 0; }' | "${prefix}gcc" $cpu $libc -Wl,--trace -x c - -o "$work/a.out" 2>/dev/null |
        grep '/libc[a-z_]*\.a$' | head -n 1
}

# stacks TARGET: writes target/firmware/TARGET/stack.txt
stacks() {
    archive=target/firmware/$1/liblarder.a
    "${prefix}gcc" $cpu -Os -ffreestanding -fno-builtin -fno-tree-loop-distribute-patterns -ffunction-sections \
        -c tests/firmware/nolibc.c -o "$work/nolibc.o"
    rm -f "$work/nolibc.a"
    "${prefix}ar" rcs "$work/nolibc.a" "$work/nolibc.o"
    join "$work/all.o" "$(roots "$archive")" "$archive" $(c_library) \
        "$("${prefix}gcc" $cpu -print-libgcc-file-name)" "$work/nolibc.a"
    python3 tests/tools/stack.py "$work/all.o" "$built/$profile/liblarder.a" "$prefix" \
        >"$work/stack.txt" 2>"$work/stack.log" || { cat "$work/stack.log" >&2; return 1; }
    # Another one may be reading it.
    stack=target/firmware/$1/stack.txt
    cp "$work/stack.txt" "$stack.$$" && mv "$stack.$$" "$stack"
}

# budget TARGET FIGURE VALUE: records a complaint if the value exceeds its budget
budget() {
    echo "$1 $2 $3" >>"$work/figures"
    most=$(awk -v target="$1" -v figure="$2" '$1 == target && $2 == figure { print $3 }' $budgets)
    if [ -n "${LARDER_BLESS:-}" ]; then
        return
    elif [ -z "$most" ]; then
        echo "size: $budgets has no budget for $2 of $1: LARDER_BLESS=1 make size" >>"$work/complaints"
    elif [ "$3" -gt "$most" ]; then
        echo "size: $2 of $1 is $3, more than $most" >>"$work/complaints"
    fi
}

measure() {
    archive=target/firmware/$1/liblarder.a
    join "$work/whole.o" "$(roots "$archive")" "$archive"
    join "$work/small.o" "$small_program" "$archive"
    whole=$(sections "$work/whole.o")
    small=$(sections "$work/small.o")
    stacks "$1"
    read -r depth function way <"target/firmware/$1/stack.txt"
    set -- "$1" $whole $small
    printf '| %s | %d + %d | %d + %d | %d + %d | %d + %d | %d (`%s`) |\n' "$@" "$depth" "$function"
    for bytes in "$4" "$5" "$8" "$9"; do
        [ "$bytes" -eq 0 ] || echo "size: $1 keeps $bytes bytes of data of its own" >>"$work/complaints"
    done
    budget "$1" whole $(($2 + $3))
    budget "$1" small $(($6 + $7))
    budget "$1" stack "$depth"
}

# added FUNCTION...: bytes of text and rodata that these functions add to the small program
added() {
    join "$work/more.o" "$small_program $*" "$archive"
    echo "$(sections "$work/more.o") $(sections "$work/small.o")" | awk -v names="$*" '{
        gsub(/larder_(cache_)?/, "", names)
        printf "%-46s %6d\n", names, $1 + $2 - $5 - $6
    }'
}

# all_added TARGET: the bytes of each group of optional functions
all_added() {
    target "$1"
    archive=target/firmware/$1/liblarder.a
    [ -f "$archive" ] || return 0
    join "$work/small.o" "$small_program" "$archive"
    printf '\n%s: bytes of code and constants that are added to init, set, get and delete by\n' "$1"
    while read -r names; do
        added $names
    done <<'NAMES'
larder_cache_attach
larder_cache_optimize
larder_monitor_init larder_monitor_poll
larder_cache_try_get larder_cache_try_set larder_cache_try_delete
larder_cache_add larder_cache_replace
larder_cache_touch larder_cache_ttl larder_cache_contains
larder_cache_set_i64 larder_cache_get_i64 larder_cache_increment
larder_cache_pin larder_cache_unpin
larder_cache_reserve larder_cache_commit larder_cache_abort
larder_cache_get_many larder_cache_set_many
larder_cache_scan
larder_cache_stats
larder_cache_stats_print
larder_cache_check
larder_cache_append larder_cache_prepend
larder_cache_put larder_cache_get_item
larder_cache_lease larder_cache_fill
larder_cache_delete_if
larder_cache_clear
larder_cache_set_memory_limit
larder_pool_init larder_pool_alloc larder_block_release
larder_arena_init larder_arena_alloc larder_arena_reset
NAMES
}

# measured TARGET: the images' measurements beside the computed figures; nothing if the library is newer than they are
measured() {
    images=target/firmware/$1/measured.txt
    [ -n "$(find "$images" -newer "target/firmware/$1/liblarder.a" 2>/dev/null)" ] || return 0
    measured_stack "$1"
    measured_calls "$1"
    grep '^figure ' "$images" >"$work/calls" || return 0
    while read -r _ figure median worst; do
        budget "$1" "$figure/median" "$median"
        budget "$1" "$figure/worst" "$worst"
    done <"$work/calls"
}

measured_stack() {
    printf '\n%s: bytes of stack\n' "$1"
    printf '%-34s %8s %9s\n' function static measured
    awk 'FNR == NR { if ($1 == "stack") deep[$2] = $3; next }
        $2 in deep { printf "%-34s %8d %9s\n", $2, $1, deep[$2] }' "$images" "target/firmware/$1/stack.txt"
    # A measured stack deeper than the computed one shows that the computation missed a path.
    awk -v target="$1" 'FNR == NR { if ($1 == "stack") deep[$2] = $3; next }
        $2 in deep && deep[$2] > $1 {
            print "size: " $2 " of " target " took " deep[$2] " bytes of stack, more than the " $1 " computed"
        }' "$images" "target/firmware/$1/stack.txt" >>"$work/complaints"
}

# A row for each call, from the lines of calls.c: `figure CALL/REGION MEDIAN WORST`.
measured_calls() {
    awk -v target="$1" '$1 == "figure" {
            split($2, name, "/")
            region = 1024 * name[2]
            if (!(region in seen)) {
                seen[region]
                regions = regions " | " region / 1024 " KiB: median | worst"
                rule = rule "---|---|"
            }
            if (name[1] == "beside") {
                payload = payload sprintf(" | %.1f%% | %.1f%%", 100 - 100 * $3 / region, 100 - 100 * $4 / region)
                next
            }
            if (!(name[1] in row)) order[++rows] = name[1]
            row[name[1]] = row[name[1]] " | " $3 " | " $4
        }
        END {
            if (!rows) exit
            printf "\n%s: instructions of calls in a full cache\n\n", target
            print "| call" regions " |\n|---|" rule
            for (i = 1; i <= rows; i++) print "| " order[i] row[order[i]] " |"
            print "| payload share" payload " |"
        }' "$images"
}

# slack FIGURE: percent by which its budget exceeds the figure. Compilers differ by 2% in bytes, more in instructions.
# The worst call depends on the sequence of states, which any small change of the engine alters.
slack() {
    case $1 in
    beside/*/median) echo 2 ;;
    beside/* | */median) echo 10 ;;
    */worst) echo 50 ;;
    *) echo 2 ;;
    esac
}

bless() {
    { sed -n '/^#/p' $budgets
        while read -r target figure value; do
            echo "$target $figure $((value + value * $(slack "$figure") / 100)) $(aim "$target" "$figure")"
        done <"$work/figures"
        # Budgets that were not measured now are kept.
        awk 'FNR == NR { seen[$1 " " $2]; next } !/^#/ && !(($1 " " $2) in seen)' "$work/figures" $budgets
    } >"$work/budgets"
    mv "$work/budgets" $budgets
    echo "size: $budgets is written anew"
}

: >"$work/complaints"
: >"$work/figures"
# Targets whose tools are missing are left out of the table.
TARGETS=${TARGETS:-$TARGETS_ALL} sh tests/tools/firmware.sh || [ $? -eq 2 ] || exit 1
echo
printf '| target | whole interface: text + rodata | data + bss '
echo '| init, set, get, delete: text + rodata | data + bss | stack |'
echo '|---|---|---|---|---|---|'
for name in ${TARGETS:-$TARGETS_ALL}; do
    target "$name"
    if [ -f "target/firmware/$name/liblarder.a" ]; then
        measure "$name"
    else
        echo "| $name | not there | | | | |"
    fi
done
echo
awk 'FNR == NR { if (!/^#/ && $4 != "-") aim[$1 " " $2] = $4; next }
    ($1 " " $2) in aim { printf "%s, %s: %d bytes; wanted: %d\n", $1, $2, $3, aim[$1 " " $2] }' $budgets "$work/figures"
set -- ${TARGETS:-$TARGETS_ALL}
all_added "$1"
for name in "$@"; do
    measured "$name"
done
[ -z "${LARDER_BLESS:-}" ] || bless
if [ -s "$work/complaints" ]; then
    cat "$work/complaints" >&2
    exit 1
fi
