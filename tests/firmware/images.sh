#!/bin/sh
# Builds the firmware images and runs each on the boards that QEMU emulates. Prints one line for each image, and the
# counts at the end. Arguments name the boards; default: all. Needs target/firmware/TARGET/liblarder.a (make firmware).
# Writes the images' measurements to target/firmware/TARGET/measured.txt.
set -eu
cd "$(dirname "$0")/../.."
. tests/tools/target.sh
out=target/firmware/images
example=c-examples/firmware
tests=tests/firmware
boards_all='microbit lm3s6965evb mps2-an385 mps2-an386 mps2-an500 mps2-an505 virt'
passed=0 failed=0 skipped=0
mkdir -p "$out"

CFLAGS="-std=c11 -Os -g -Wall -Wextra -Wpedantic -Werror -ffunction-sections -fdata-sections -DLARDER_BARE_METAL
    -Iinclude -I$example -I$tests -Wl,--gc-sections"
CORTEXM="-I$example/boards -nostartfiles --specs=nano.specs --specs=rdimon.specs -L$example/boards
    $example/boards/startup_cortexm.c"
RISCV='--specs=picolibc.specs --oslib=semihost --crt0=hosted
    -Wl,--defsym=__flash=0x80000000,--defsym=__flash_size=4M,--defsym=__ram=0x80400000,--defsym=__ram_size=2M
    -Wl,--defsym=__stack_size=16K'
QEMU='-nographic -monitor none -serial none -semihosting-config enable=on,target=native'

# ---- boards ----

# board NAME: its target, flags and emulator
board() {
    board=$1
    core=''
    with=-DWITH_SECTOR_CACHE
    emulator="qemu-system-arm -M $board"
    case $board in
    microbit) triple=thumbv6m-none-eabi with='' ;; # 16 KiB of RAM
    lm3s6965evb | mps2-an385) triple=thumbv7m-none-eabi ;;
    mps2-an386) triple=thumbv7em-none-eabihf ;;
    mps2-an500) triple=thumbv7em-none-eabihf core='-mcpu=cortex-m7 -mfpu=fpv5-sp-d16' ;;
    mps2-an505) triple=thumbv8m.main-none-eabihf ;;
    virt) triple=riscv32imac-unknown-none-elf emulator='qemu-system-riscv32 -M virt -bios none' ;;
    *) echo "images: no such board: $board" >&2 && exit 2 ;;
    esac
    target "$triple"
    case $board in
    virt) flags="$cpu $RISCV" ;;
    *) flags="$cpu $core $CORTEXM -T$example/boards/$board.ld" ;;
    esac
    archive=target/firmware/$triple/liblarder.a
    measured=target/firmware/$triple/measured.txt
}

# Prints the tools that are missing for the board.
missing() {
    for tool in "${prefix}gcc" "${emulator%% *}"; do
        command -v "$tool" >/dev/null || echo "$tool is not installed"
    done
    [ -f "$archive" ] || echo "$archive is not built (make firmware)"
}

# ---- images ----

build() { # IMAGE SOURCE...: $out/BOARD-IMAGE.elf
    image=$1
    shift
    ${prefix}gcc $CFLAGS $with "$@" $flags "$archive" -o "$out/$board-$image.elf"
}

emulate() { # SECONDS IMAGE OPTION...
    seconds=$1 image=$2
    shift 2
    timeout "$seconds" $emulator "$@" $QEMU -kernel "$out/$board-$image.elf" </dev/null
}

record() { # WORD FILE: replaces the lines that begin with WORD in the target's file by those of FILE
    { grep -v "^$1 " "$measured" || true; grep "^$1 " "$2"; } >"$measured.new" 2>/dev/null &&
        mv "$measured.new" "$measured"
}

firmware() { build firmware $example/*.c && emulate 60 firmware; }

stack() {
    build stack $tests/stack.c || return
    emulate 300 stack >"$out/$board-stack.out" || { status=$?; cat "$out/$board-stack.out"; return $status; }
    cat "$out/$board-stack.out"
    record stack "$out/$board-stack.out"
}

# One instruction takes 2^8 ns of the emulator's time, so the figures are equal in every run.
calls() {
    build calls $tests/calls.c $tests/measure.c || return
    emulate 600 calls -icount shift=8 >"$out/$board-calls.first" || return
    emulate 600 calls -icount shift=8 >"$out/$board-calls.second" || return
    cat "$out/$board-calls.first"
    cmp "$out/$board-calls.first" "$out/$board-calls.second" || return
    record figure "$out/$board-calls.first"
}

# Checks all budgets, also those of the measurements above.
budgets() { TARGETS=$triple sh tests/tools/size.sh; }

interrupts() {
    build interrupts $tests/interrupts.c $tests/measure.c && emulate 900 interrupts -icount shift=8
}

interrupts_without_hooks() {
    build without_hooks -DWITHOUT_HOOKS $tests/interrupts.c $tests/measure.c &&
        emulate 900 without_hooks -icount shift=8
}

# With a lock that excludes no caller, invariants must break. Otherwise the image above proves nothing.
interrupts_unlocked() {
    build unlocked -DLOCK_NOBODY_OUT $tests/interrupts.c $tests/measure.c || return
    emulate 300 unlocked -icount shift=8 >"$out/$board-unlocked.out" || true
    cat "$out/$board-unlocked.out"
    grep -q 'does not hold: larder_cache_check' "$out/$board-unlocked.out" || return
    echo 'interrupts_unlocked: found, as it should be'
}

warm_reset() {
    build warm_reset $tests/warm_reset.c && emulate 600 warm_reset -icount shift=8
}

# image NAME: runs the image and prints one line; prints the image's output if it fails
image() {
    log=$out/$board-$1.log
    status=0
    "$1" >"$log" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok    $1 on $board$(sed -n "s/^$1: \(.*\)$/ (\1)/p" "$log")"
    else
        failed=$((failed + 1))
        echo "FAIL  $1 on $board, status $status"
        tail -n 40 "$log" | sed 's/^/      /'
    fi
}

for name in ${*:-$boards_all}; do
    board "$name"
    lacks=$(missing)
    if [ -n "$lacks" ]; then
        skipped=$((skipped + 1))
        echo "SKIP  $board:" $lacks
        continue
    fi
    image firmware
    case $board in
    microbit) image stack ;;
    mps2-an385)
        image stack
        image calls
        if command -v python3 >/dev/null && command -v llvm-readobj >/dev/null; then image budgets; fi
        image interrupts
        image interrupts_without_hooks
        image interrupts_unlocked
        image warm_reset
        ;;
    mps2-an386 | mps2-an505) image stack ;;
    esac
done
echo "images: $passed passed, $failed failed, $skipped boards skipped"
[ "$failed" -eq 0 ]
