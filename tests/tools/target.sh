# Sourced by the scripts that build for firmware: the names of each target's tools, and their flags.
#
# target TARGET sets
#   prefix     the prefix of the target's GNU tools
#   cpu        flags of its C compiler
#   libc       flags of its C compiler that choose the smaller C library
#   emulation  flags of its linker for making one object of many
#   packages   the Debian packages of those tools
#   profile    cargo's profile
#   features   the crate's features
#   built      cargo's directory for the target
# and succeeds if the target is known.

# x86-64 is built as for an operating system's kernel; it needs no cross compiler.
TARGETS_ALL='thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf thumbv8m.main-none-eabihf
    riscv32imac-unknown-none-elf x86_64-unknown-linux-gnu'
TARGETS_FIRMWARE=${TARGETS_ALL%x86_64*}

# rust_of_cores TARGET...: prints the directory of the Rust that builds all targets without an operating system. Prints
# nothing if there is none; then cross.sh prints for each target what is missing.
rust_of_cores() {
    cores=$(printf '%s\n' "$@" | grep -e -none-) || return 0
    sh tests/tools/cross.sh --one $cores
}

# setup.sh unpacks emulators that could not be installed there.
PATH=$PWD/target/emulators/usr/bin:$PATH

target() {
    prefix=arm-none-eabi-
    built=target/firmware-build/$1/$1
    libc='--specs=nano.specs --specs=nosys.specs'
    emulation=''
    profile=firmware
    features=capi,small${FEATURES:+,$FEATURES}
    packages='gcc-arm-none-eabi libnewlib-arm-none-eabi'
    case $1 in
    thumbv6m-none-eabi) cpu='-mcpu=cortex-m0plus -mthumb' ;;
    thumbv7m-none-eabi) cpu='-mcpu=cortex-m3 -mthumb' ;;
    thumbv7em-none-eabihf) cpu='-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard' ;;
    thumbv8m.main-none-eabihf) cpu='-mcpu=cortex-m33 -mthumb -mfpu=fpv5-sp-d16 -mfloat-abi=hard' ;;
    riscv32imac-unknown-none-elf)
        prefix=riscv64-unknown-elf-
        cpu='-march=rv32imac -mabi=ilp32'
        libc='--specs=picolibc.specs'
        emulation='-m elf32lriscv'
        packages='gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf'
        ;;
    x86_64-unknown-linux-gnu)
        prefix=''
        cpu='-m64'
        libc=''
        profile=release
        features=capi
        packages='gcc binutils'
        ;;
    *)
        echo "there is no recipe for $1; known are:" $TARGETS_ALL >&2
        return 1
        ;;
    esac
}
