#!/usr/bin/env python3
"""Prints how deep the stack of each larder_* function gets, before it ever runs.

The frames of larder's functions are what the compiler says (-Z emit-stack-sizes, in cargo's archive); those of mem*
and of the compiler's helpers are added up from their instructions. The call graph is that of one relocatable object in
which nothing is undefined. A call through a pointer may end in any function whose address somebody on the way to it has
taken, itself or in a table that he names: pointers are handed down, and nobody keeps them. It may also be a hook of the
host's, and what those need on top is not larder's to know.

usage: stack.py OBJECT CARGO_ARCHIVE TOOL_PREFIX
prints a line for each function, the deepest first: BYTES FUNCTION PATH, and to stderr who calls through pointers
"""

import re
import subprocess
import sys

SECTION = re.compile(r"Disassembly of section (\S+):$")
FUNCTION = re.compile(r"([0-9a-f]+) <(.+)>:$")
SYMBOL = re.compile(r"([0-9a-f]+) .{7} (\.\S+)\t[0-9a-f]+ +(?:\.hidden )?(\S+)$")
INSTRUCTION = re.compile(r"\s+([0-9a-f]+):\t(\S+)\s*(.*)$")
RELOCATION = re.compile(r"\s+([0-9a-f]+): (R_\w+)\s+(\S+)$")

# Instructions, as `objdump` writes them for Arm, RISC-V and x86-64.
CALL = re.compile(r"(bl|blx|jal|jalr|call)\b")
THROUGH_REGISTER = re.compile(r"(?:blx|bx|jalr|jr|call|jmp)\s+\*?%?(r\d+|ip|ra|[ast]\d+|r[a-ds][xip])\b")
THROUGH_POINTER = re.compile(r"(?:blx|bx|jalr|jr)\s+(?!lr$|ra\b|t0\b)|(?:call|jmp)\s+\*")
LITERAL = re.compile(r"\(([0-9a-f]+) <")
INNER = re.compile(r"<([^+>]+)>$")
WRITES_NOTHING = re.compile(r"(str|cmp|tst|push|s[bhw]\b|test)|b[a-z]*(\.[nw])?\s|j")
PUSH = re.compile(r"(push|stmdb\s+sp!,|str\S*\s+\S+, \[sp, #-)")
LOWERED = re.compile(r"(?:sub\S*|addi?)\s+sp,\s?(?:sp,\s?)?(?:#|-)(\d+)|sub\s+\$0x([0-9a-f]+),%rsp")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, errors="replace").stdout


def compiler_frames(archive):
    """Bytes of each function's frame, as the compiler says."""
    listing = run("llvm-readobj", "--stack-sizes", archive)
    found = re.findall(r"Functions: \[(.*?)\]\s*Size: (0x[0-9A-F]+)", listing)
    return {name: int(size, 16) for names, size in found for name in names.split(", ")}


class Step:
    """One instruction, or one word among them, and what its relocation names."""

    def __init__(self, text):
        self.text = re.split(r"\s+[#;@] ", text)[0].strip()
        inner = INNER.search(self.text)
        literal = LITERAL.search(text)
        self.names = inner[1] if inner else None
        self.relocated = False
        self.literal = int(literal[1], 16) if literal else None

    def written(self):
        """The register that it writes, as far as that can be one with an address."""
        if WRITES_NOTHING.match(self.text) or " " not in self.text:
            return None
        operands = self.text.split(None, 1)[1].split(",")
        return (operands[-1] if "%" in self.text else operands[0]).strip("% ")

    def lowers(self, word):
        """By how many bytes it lowers the stack pointer."""
        if PUSH.match(self.text):
            return word * registers(self.text)
        by = LOWERED.match(self.text)
        return (int(by[1]) if by[1] else int(by[2], 16)) if by else 0


def registers(text):
    """How many registers a push stores."""
    inside = re.search(r"\{(.*)\}", text)
    count = 0
    for part in inside[1].split(",") if inside else ["one"]:
        ends = re.findall(r"r(\d+)", part)
        count += int(ends[1]) - int(ends[0]) + 1 if len(ends) == 2 else 1
    return count


class Function:
    """Its instructions by address, and where they lead."""

    def __init__(self):
        self.steps = {}
        self.calls = set()
        self.jumps = set()  # the own frame is gone by then
        self.takes = set()  # functions whose addresses it hands on
        self.through_pointer = False


class Graph:
    """The functions of an object, and the addresses that are taken."""

    def __init__(self, prefix, path):
        listing = run(prefix + "objdump", "-drz", "--no-show-raw-insn", path)
        self.word = 8 if "elf64" in listing[:200] else 4
        self.pushed_by_call = 8 if "x86-64" in listing[:200] else 0
        self.functions = {}
        self.labels = {}  # function, by section and address
        self.names = {}  # function, by each of its names
        self.tables = {}  # functions whose addresses a constant has, by its section
        self.read(listing.splitlines())
        self.constants = {}  # section of a constant, by its name
        self.read_names(run(prefix + "objdump", "-t", path).splitlines())
        self.read_constants(run(prefix + "objdump", "-r", path).splitlines())
        for function in self.functions.values():
            self.connect(function)

    def read(self, lines):
        section = function = step = None
        for line in lines:
            if match := SECTION.match(line):
                section = match[1]
            elif match := FUNCTION.match(line):
                function = self.functions.setdefault(match[2], Function())
                self.labels[section, int(match[1], 16)] = match[2]
            elif match := INSTRUCTION.match(line):
                step = Step(f"{match[2]} {match[3]}")
                function.steps[int(match[1], 16)] = step
            elif (match := RELOCATION.match(line)) and match[2] != "R_RISCV_RELAX":
                step.names = match[3]
                step.relocated = True

    def read_names(self, lines):
        """Of functions at one address the disassembly shows one; and a section stands for its first."""
        for line in lines:
            if match := SYMBOL.match(line):
                label = self.labels.get((match[2], int(match[1], 16) & ~1))
                self.names[match[3]] = label
                self.constants[match[3]] = match[2]

    def function_at(self, name):
        """The function of that name; none where it is one of a constant."""
        name = re.sub(r"[+-]0x[0-9a-f]+$", "", name or "")
        return name if name in self.functions else self.names.get(name) or self.labels.get((name, 0))

    def is_known(self, name):
        return re.sub(r"[+-]0x[0-9a-f]+$", "", name) in self.names

    def target(self, function, step):
        if step.literal in function.steps:
            step = function.steps[step.literal]
        return self.function_at(step.names)

    def connect(self, function):
        """Finds where each instruction leads; an address that is loaded to be called at once counts as a call."""
        holds = {}
        called = set()
        for step in function.steps.values():
            if step.text.startswith("."):
                continue  # a literal
            target = self.target(function, step)
            function.takes |= self.table(function, step)
            register = THROUGH_REGISTER.match(step.text)
            if register and register[1] in holds:
                target = holds[register[1]]
                called.add(register[1])
                self.lead(function, step, target)
            elif re.match(r"(b|j|cb|call|tail)", step.text):
                if target:
                    self.lead(function, step, target)
                elif step.relocated and not self.is_known(step.names):
                    sys.exit(f"stack: nobody knows {step.names}, where this leads: {step.text}")
                elif THROUGH_POINTER.match(step.text):
                    function.through_pointer = True
            elif written := step.written():
                self.forget(function, holds, called, written)
                if target:
                    holds[written] = target
        for register in list(holds):
            self.forget(function, holds, called, register)

    def table(self, function, step):
        """The functions in the table that an instruction names."""
        if step.literal in function.steps:
            step = function.steps[step.literal]
        name = re.sub(r"[+-]0x[0-9a-f]+$", "", step.names or "")
        return self.tables.get(name, self.tables.get(self.constants.get(name), set()))

    def forget(self, function, holds, called, register):
        """The register is written anew: an address in it that was not called went elsewhere."""
        if register in holds and register not in called:
            function.takes.add(holds[register])
        holds.pop(register, None)
        called.discard(register)

    def lead(self, function, step, target):
        if self.functions[target] is not function:
            (function.calls if CALL.match(step.text) else function.jumps).add(target)

    def read_constants(self, lines):
        section = ""
        for line in lines:
            if line.startswith("RELOCATION RECORDS FOR"):
                section = line.split("[")[1].split("]")[0]
            elif section.startswith((".rodata", ".data")) and len(line.split()) == 3:
                if target := self.function_at(line.split()[2]):
                    self.tables.setdefault(section, set()).add(target)


class Recursion(Exception):
    """A way that comes back to where it was."""


class Depths:
    """The deepest way down from each function."""

    def __init__(self, graph, frames):
        self.graph = graph
        self.known = {}
        self.frames = {
            name: sum(step.lowers(graph.word) for step in function.steps.values())
            for name, function in graph.functions.items()
        }
        self.frames.update(frames)

    def of(self, name, above=(), handed=frozenset()):
        """Bytes, and the functions on the way; `handed`: functions whose addresses were taken on the way here."""
        if name in above:
            raise Recursion(" > ".join(above + (name,)))
        function = self.graph.functions[name]
        handed = handed | function.takes
        if (name, handed) in self.known:
            return self.known[name, handed]
        above += (name,)
        pointed = handed if function.through_pointer else set()
        best = (self.frames[name], [])
        for callee in sorted(function.calls | function.jumps | pointed):
            try:
                depth, way = self.of(callee, above, handed)
            except Recursion:
                # What a pointer was handed down for does not lead back to who calls through it.
                if callee in function.calls | function.jumps:
                    raise
                continue
            if callee not in function.jumps:
                depth += self.frames[name] + self.graph.pushed_by_call
            best = max(best, (depth, way))
        self.known[name, handed] = (best[0], [name] + best[1])
        return self.known[name, handed]


def main():
    path, archive, prefix = sys.argv[1:4]
    graph = Graph(prefix, path)
    frames = compiler_frames(archive)
    roots = [name for name in graph.functions if name.startswith("larder_")]
    unknown = [name for name in graph.functions if name.startswith(("larder_", "_R")) and name not in frames]
    if not roots or unknown:
        sys.exit(f"stack: no frame is known of {unknown or 'any larder_ function'}")
    depths = Depths(graph, frames)
    try:
        found = sorted(((depths.of(root), root) for root in roots), reverse=True)
    except Recursion as way:
        sys.exit(f"stack: no bound, for there is recursion: {way}")
    for depth, root in found:
        print(depth[0], root, " > ".join(f"{name}({depths.frames[name]})" for name in depth[1]))
    through = sorted(name for name, function in graph.functions.items() if function.through_pointer)
    print("through a pointer call:", *through, file=sys.stderr)


if __name__ == "__main__":
    main()
