#!/bin/sh
# Writes the ABI that programs compiled against include/larder.h rely on. larder.abi lists constants, types, functions,
# and structs with sizes and offsets for three kinds of machines. layout.rs has the same structs for tests/abi.rs. Needs
# clang, which compiles for all three.
# usage: abi.sh DIRECTORY    (the committed files are in tests/abi: `make abi` writes them)
set -eu
cd "$(dirname "$0")/../.."
to=$1
out=target/abi
mkdir -p "$out" "$to"

# A line for each declaration: "constant NAME VALUE", "initializer NAME", "struct NAME",
# "field STRUCT NAME DECLARATION", "type ..", "function ..".
sed -n -e 's/^#define \(LARDER_[A-Z0-9_]*_INIT\) .*/initializer \1/p; t' \
    -e 's/^#define \(LARDER_[A-Z0-9_]*\) \(.*\)/constant \1 \2/p' \
    include/larder.h >"$out/unsorted"
sed '/^#include/d' include/larder.h | clang -E -P -x c - | awk '
    /^typedef struct [a-z0-9_]+ \{/ { struct = $3; print "struct", struct; next }
    /^}/ { struct = ""; next }
    {
        sub(/^ +/, "")
        text = text (text == "" ? "" : " ") $0
        if (text !~ /;$/) next
        sub(/;$/, "", text)
        name = text
        if (struct != "") {
            if (name ~ /\(\*/) { sub(/.*\(\*/, "", name); sub(/\).*/, "", name) }
            else { sub(/\[.*/, "", name); sub(/.*[ *]/, "", name) }
            print "field", struct, name, text
        } else {
            print (text ~ /^typedef/ ? "type" : "function"), text
        }
        text = ""
    }' >>"$out/unsorted"
# The order of names in the header is not part of the ABI; the order of fields is.
for kind in constant initializer type; do
    grep "^$kind" "$out/unsorted" | LC_ALL=C sort
done >"$out/declarations"
grep -E '^(struct|field)' "$out/unsorted" >>"$out/declarations"
grep '^function' "$out/unsorted" | LC_ALL=C sort >>"$out/declarations"

# The compiler writes the numbers into its assembly, so no program has to run on the target machine.
awk '
    BEGIN {
        print "#include \"larder.h\""
        print "#define SAY(text, number) __asm__ volatile(\"\\n@\" text \" %c0\" : : \"i\"(number))"
        print "void probe(void);"
        print "void probe(void)\n{"
    }
    $1 == "struct" { printf "SAY(\"%s\", sizeof(struct %s));\n", $2, $2 }
    $1 == "field" { printf "SAY(\"%s.%s\", offsetof(struct %s, %s));\n", $2, $3, $2, $3 }
    END { print "}" }' "$out/declarations" >"$out/probe.c"

# numbers TARGET
numbers() {
    clang --target="$1" -ffreestanding -fno-integrated-as -Iinclude -S "$out/probe.c" -o - |
        sed -n 's/^@\([a-z0-9_.]*\) \([0-9]*\)$/\1 \2/p'
}

numbers x86_64-linux-gnu >"$out/wide"
numbers armv7-linux-gnueabihf >"$out/narrow"
numbers i686-linux-gnu >"$out/loose"

awk '
    FILENAME != ARGV[4] { numbers[$1] = numbers[$1] " " $2; next }
    FNR == 1 {
        print "# What programs compiled against include/larder.h rely on. Written by tests/tools/abi.sh: `make abi`."
        print "# The numbers are sizes of structs and offsets of fields: with 64-bit words, with 32-bit words, and with"
        print "# 32-bit words where integers of 8 bytes are aligned to 4 (i386)."
    }
    $1 == "struct" { print $1, $2 numbers[$2]; next }
    $1 == "field" {
        name = $2 "." $3
        $1 = $2 = $3 = ""
        sub(/^ +/, "")
        print "field", name numbers[name], $0
        next
    }
    { print }' "$out/wide" "$out/narrow" "$out/loose" "$out/declarations" >"$to/larder.abi"

awk '
    BEGIN { print "// Written by tests/tools/abi.sh: `make abi`.\n[" }
    $1 == "struct" { printf "    (\"%s\", size_of::<%s>()),\n", $2, $2 }
    $1 == "field" { printf "    (\"%s.%s\", offset_of!(%s, %s)),\n", $2, $3, $2, $3 == "type" ? "r#type" : $3 }
    END { print "]" }' "$out/declarations" >"$to/layout.rs"
