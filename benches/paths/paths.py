#!/usr/bin/env python3
"""The purpose of every instruction of a call, and the lines of memory that a call fetches.

Two runs of benches/paths/paths.c under callgrind that differ in the number of calls: the difference is what the calls
cost. The line table says which inlined function each instruction comes from, and the first pattern of PURPOSES that the
chain of these functions matches says what for. Needs valgrind and addr2line (binutils).

usage: paths.py PROGRAM"""
import collections
import os
import re
import subprocess
import sys
import tempfile

KINDS = ["hit", "miss", "set", "overwrite", "delete"]
ITEMS, FEW, MANY = 20_000, 2_000, 12_000
# An L1 of 48 KiB, an L2 of 2 MiB, and four times as many bytes of items.
CACHES = ["--cache-sim=yes", "--D1=49152,12,64", "--I1=32768,8,64", "--LL=2097152,16,64"]
BEYOND = 100_000

# Inner functions decide before outer ones. Each pattern is searched in "function file" of a chain, innermost first.
PURPOSES = [
    ("copy", r"copy_|memcpy|memmove|copy_nonoverlapping region"),
    ("compare", r"key_is|\bsame\b|\bequal\b|bcmp|memcmp"),
    ("hash", r"hash/|foldhash|fast\.rs|KeyHasher|hash_of|hash_at"),
    ("probe", r"hashbrown|segment\.rs|is_ready|has_room|is_sparse"),
    ("directory", r"index\.rs|index/"),
    ("ghosts", r"ghost"),
    ("lock", r"lock\.rs|turn_away|callbacks\.rs"),
    ("clock", r"look_at_clock|clock\.rs|expiry\.rs|effective_ttl|needs_time"),
    ("counters", r"stats\.rs|\bcount\b|uncount|count_|note_usage|taken_peak"),
    ("simulations", r"shadow"),
    ("policy", r"policy/|evict\.rs|\bhit\b|requested|admit"),
    ("room", r"room\.rs|progress\.rs|clean\.rs|sweep\.rs"),
    ("log", r"log\.rs|log/|page\.rs|append_|forget|\bkill\b|bury|store\.rs"),
    ("decode", r"item\.rs|item/"),
    ("checks", r"ffi/|check_key|cache\.rs|cache/|shard"),
]


def callgrind(program, kind, calls, out, items=ITEMS, options=()):
    command = ["valgrind", "--tool=callgrind", "--dump-instr=yes", f"--callgrind-out-file={out}", *options]
    subprocess.run([*command, program, kind, str(items), str(calls)], check=True, capture_output=True)


def instructions(path):
    """Instructions executed at each address, with the address's object and function."""
    cost, where, names = collections.Counter(), {}, {"ob": {}, "fn": {}}
    current, address, skip = {"ob": None, "fn": None}, 0, False
    for line in open(path, errors="replace"):
        named = re.match(r"^(c?)(ob|fn)=\((\d+)\)(?: (.*))?$", line.rstrip("\n"))
        if named:
            called, what, number, name = named.groups()
            if name:
                names[what][number] = name
            if not called:
                current[what] = names[what].get(number)
        elif line.startswith("calls="):
            skip = True
        elif line[0] in "0123456789+-*":
            words = line.split()
            if words[0] != "*":
                step = words[0]
                address = address + int(step, 0) if step[0] in "+-" else int(step, 0)
            if not skip and len(words) > 2:
                cost[address] += int(words[2])
                where[address] = (os.path.basename(current["ob"] or ""), current["fn"] or "")
            skip = False
    return cost, where


def chains(program, addresses):
    """The chain of inlined functions of each address, innermost first, as "function file"."""
    answer = subprocess.run(
        ["addr2line", "-i", "-f", "-C", "-a", "-e", program, *map(hex, addresses)], capture_output=True, text=True
    ).stdout.splitlines()
    found, chain, i = {}, [], 0
    while i < len(answer):
        if answer[i].startswith("0x"):
            chain = found.setdefault(int(answer[i], 16), [])
            i += 1
        else:
            chain.append(f"{answer[i]} {answer[i + 1]}")
            i += 2
    return found


def purpose(function, chain, text):
    links = [link.replace("/src/", " ") for link in chain] + [function]
    if not any("larder" in link or "hashbrown" in link for link in links):
        return "copy" if "mem" in function else "loop"
    # Stack traffic of the function itself is a spill, on any line.
    if re.match(r"(push|pop|ret)|mov\S* .*\(%rsp\)|(sub|add) \$0x[0-9a-f]+,%rsp", text):
        return "spills"
    for link in links:
        for name, pattern in PURPOSES:
            if re.search(pattern, link):
                return name
    return "other"


def disassembly(program):
    lines = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], capture_output=True, text=True).stdout
    found = (re.match(r"\s*([0-9a-f]+):\s+(.*)", line) for line in lines.splitlines())
    return {int(m[1], 16): re.sub(r"\s+", " ", m[2]) for m in found if m}


def by_purpose(program, kind, work, texts):
    few, _ = instructions_of(program, kind, FEW, work)
    many, where = instructions_of(program, kind, MANY, work)
    per_call = {a: (n - few[a]) / (MANY - FEW) for a, n in many.items() if n != few[a]}
    mine = [a for a in per_call if where[a][0] == os.path.basename(program)]
    known = chains(program, mine)
    sums = collections.Counter()
    for address, count in per_call.items():
        sums[purpose(where[address][1], known.get(address, []), texts.get(address, ""))] += count
    return sums


def instructions_of(program, kind, calls, work):
    out = os.path.join(work, f"{kind}-{calls}")
    callgrind(program, kind, calls, out)
    return instructions(out)


def lines_fetched(program, kind, work):
    """Lines fetched from memory for a call, in a cache far larger than the processor's."""
    totals = []
    for calls in (FEW, MANY):
        out = os.path.join(work, f"{kind}-{calls}-lines")
        callgrind(program, kind, calls, out, BEYOND, CACHES)
        text = open(out, errors="replace").read()
        events = re.search(r"^events: (.*)$", text, re.M)[1].split()
        sums = re.findall(r"^(?:summary|totals): (.*)$", text, re.M)[-1].split()
        counts = dict(zip(events, map(int, sums)))
        totals.append(counts["DLmr"] + counts["DLmw"])
    return (totals[1] - totals[0]) / (MANY - FEW)


def row(name, figures, digits=0):
    print(f"| {name} | " + " | ".join(f"{figure:.{digits}f}" for figure in figures) + " |")


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    program = os.path.abspath(sys.argv[1])
    texts = disassembly(program)
    with tempfile.TemporaryDirectory() as work:
        tables = [by_purpose(program, kind, work, texts) for kind in KINDS]
        fetched = [lines_fetched(program, kind, work) for kind in KINDS]
    names = sorted({n for t in tables for n in t} - {"loop"}, key=lambda n: -sum(t[n] for t in tables))
    print("| instructions for | " + " | ".join(KINDS) + " |\n|---" + "|---" * len(KINDS) + "|")
    for name in names:
        row(name, [table[name] for table in tables])
    row("**a call**", [sum(table.values()) - table["loop"] for table in tables])
    row("the loop around it", [table["loop"] for table in tables])
    row("**lines fetched from memory**", fetched, 2)


main()
