#!/usr/bin/env python3
"""Computes the deepest stack of each larder_* function without running it.

The frames of larder's functions are what the compiler says (-Z emit-stack-sizes, in cargo's archive); those of mem*
and of the compiler's helpers are added up from their instructions. The call graph is that of one relocatable object in
which nothing is undefined. A call through a pointer may end in any function whose address a function on the way to it
has taken, itself or in a table that it names: addresses are handed down. It may end in any of KEPT, too, and in none
that NEVER excludes. It may also end in a hook of the host's, and what those need on top is not larder's to know.

Recursion is an error, by name or through a pointer, and so is an address that no call further down can reach: it must
be kept somewhere.

usage: stack.py OBJECT CARGO_ARCHIVE TOOL_PREFIX
prints a line for each function, the deepest first: BYTES FUNCTION PATH, and to stderr who calls through pointers
"""

import fnmatch
import re
import subprocess
import sys

# Functions whose addresses outlive the call that takes them: any call through a pointer may end there.
KEPT = (
    # The configuration, the cache and the monitor keep them. They call the host's on_event and on_report.
    "larder::ffi::*::tell",
    # libgcc's division by 0 pushes the address, and jumps there by popping it.
    "__aeabi_[il]div0",
)

# Callers, and functions that they never call through a pointer. Without these lines the program would find recursion
# and stacks that do not exist. A line does not apply to a function into which its caller is inlined.
NEVER = (
    # Lower layers than store, shard and events. Their callees take the id of an item, or its pieces.
    (
        ("larder::segment::place::place", "larder::index::pour", "larder::item::pieces::copy_pieces"),
        (
            "<larder::store::Store>::adopt",  # takes a store
            "<larder::cache::Cache>::set_memory_limit::{closure#?}",  # take a shard
            "<larder::cache::Cache>::check::{closure#?}",
            "<<larder::shard::Shard>::clear as *>::call_mut",
            "larder::ffi::*::tell",  # take an event, a report
        ),
    ),
    # They call the clock or the lock, which take a context. If `observe` is inlined, its callers call the clock.
    (
        (
            "<larder::cache::Cache>::observe",
            "<larder::cache::Cache>::*::{closure#?}",
            "<larder::cache::Cache>::lock",
            "<larder::lock::Guarded<*>>::lock",
            "core::ptr::drop_in_place::<larder::lock::Locked<*>>",
        ),
        ("<larder::cache::Cache>::*::{closure#?}", "larder::ffi::*::tell"),
    ),
    # They call the host's function, which is an argument.
    (("larder::ffi::*::tell",), ("*",)),
)

# The prefix of code that the compiler moved out of several functions.
OUTLINED = "OUTLINED_FUNCTION"

SECTION = re.compile(r"Disassembly of section (\S+):$")
FUNCTION = re.compile(r"([0-9a-f]+) <(.+)>:$")
SYMBOL = re.compile(r"([0-9a-f]+) .{7} (\.\S+)\t[0-9a-f]+ +(?:\.hidden )?(\S+)$")
INSTRUCTION = re.compile(r"\s+([0-9a-f]+):\t(\S+)\s*(.*)$")
RELOCATION = re.compile(r"\s+([0-9a-f]+): (R_\w+)\s+(\S+)$")

# Instructions, as `objdump` writes them for Arm, RISC-V and x86-64.
CALL = re.compile(r"(bl|blx|jal|jalr|call)\b")
THROUGH_REGISTER = re.compile(r"(?:blx|bx|jalr|jr|call|jmp)\s+\*?%?(r\d+|ip|s[bl]|fp|ra|[ast]\d+|r[a-ds][xip])\b")
THROUGH_POINTER = re.compile(r"(?:blx|bx|jalr|jr)\s+(?!lr$|ra\b|t0\b)|(?:call|jmp)\s+\*")
JUMPS_BY_TABLE = re.compile(r"tbb|tbh|(mov|add|ldr)\S*\s+pc\b|jr\s+(?!ra\b|t0\b)|jmp\s+\*%")
ENDS = re.compile(r"(b|b\.[nw]|bx|j|jr|jmp|ret|tail|udf|ud2|unimp)(\s|$)|(pop|ldm).*\bpc\b")
JUMPS = re.compile(r"(?:b|j|cb)\S*\s+(?:\S+,\s*)*([0-9a-f]+) <")
IF_THEN = re.compile(r"it[te]*\s")
CONDITION = re.compile(r"^(\w+?)(eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)\b")
LITERAL = re.compile(r"[@;] \(?([0-9a-f]+) <")
COPY = re.compile(r"(?:movs?|mv)\s+\w+,\s*(\w+)$|mov\s+%(\w+),%\w+$")
WRITES_ALONE = re.compile(r"mov|mv|ldr|l[bhw]u?\b|li\b|lui|lea|adr|auipc|pop|ldm")
ADDS_BASE = re.compile(r"add\s+%\w+,(%\w+)$")
WRITES_TWO = re.compile(r"ldrd|[us]m[ul]")
CLOBBERED = {4: re.compile(r"r[0-3]$|ip|lr|ra|a\d|t\d"), 8: re.compile(r"r[acd]x|r[sd]i|r[89]$|r1[01]")}
INNER = re.compile(r"<([^+>]+)>$")
WRITES_NOTHING = re.compile(r"(st[rm]|cmp|tst|push|s[bhw]\b|test)|b[a-z]*(\.[nw])?\s|j")
PUSH = re.compile(r"(push|stmdb\s+sp!,|str\S*\s+\S+, \[sp, #-)")
LOWERED = re.compile(r"(?:sub\S*|addi?)\s+sp,\s?(?:sp,\s?)?(?:#|-)(\d+)|sub\s+\$0x([0-9a-f]+),%rsp")


def run(*command, given=None):
    return subprocess.run(command, input=given, capture_output=True, text=True, errors="replace").stdout


def compiler_frames(archive):
    """Bytes of each function's frame, from the compiler's table."""
    listing = run("llvm-readobj", "--stack-sizes", archive)
    found = re.findall(r"Functions: \[(.*?)\]\s*Size: (0x[0-9A-F]+)", listing)
    return {name: int(size, 16) for names, size in found for name in names.split(", ")}


class Step:
    """One instruction, or one data word between instructions, and the names in its relocation."""

    def __init__(self, text, is_conditional):
        self.text = re.split(r"\s+[#;@] ", text)[0].strip()
        self.is_conditional = is_conditional  # behind an if-then instruction
        if is_conditional:
            self.text = CONDITION.sub(r"\1", self.text)
        inner = INNER.search(self.text)
        literal = LITERAL.search(text)
        self.names = inner[1] if inner else None
        self.relocated = False
        self.literal = int(literal[1], 16) if literal else None

    def written(self):
        """The registers that it writes, of those that can have an address."""
        if WRITES_NOTHING.match(self.text) or " " not in self.text:
            return []
        operands = self.text.split(None, 1)[1]
        if "{" in operands:
            return re.findall(r"\w+", operands[operands.index("{") :])
        operands = [operand.strip("% ") for operand in operands.split(",")]
        return operands[-1:] if "%" in self.text else operands[: 2 if WRITES_TWO.match(self.text) else 1]

    def uses(self, register):
        """Whether it uses the register other than by writing it."""
        written = self.written() if WRITES_ALONE.match(self.text) and not self.is_conditional else []
        return register not in written and bool(re.search(rf"\b{register}\b", self.text))

    def lowers(self, word):
        """The number of bytes by which it lowers the stack pointer."""
        if PUSH.match(self.text):
            return word * registers(self.text)
        by = LOWERED.match(self.text)
        return (int(by[1]) if by[1] else int(by[2], 16)) if by else 0


def registers(text):
    """The number of registers that a push stores."""
    inside = re.search(r"\{(.*)\}", text)
    count = 0
    for part in inside[1].split(",") if inside else ["one"]:
        ends = re.findall(r"r(\d+)", part)
        count += int(ends[1]) - int(ends[0]) + 1 if len(ends) == 2 else 1
    return count


class Function:
    """A function's instructions by address, and the targets of its branches."""

    def __init__(self):
        self.steps = {}
        self.calls = set()
        self.jumps = set()  # targets of jumps after which its own frame is free
        self.takes = set()  # functions whose addresses it passes on
        self.through_pointer = False


class Flow:
    """The registers that have the address of a function before each instruction, on every path there."""

    def __init__(self, graph, function):
        self.graph = graph
        self.function = function
        self.steps = {at: step for at, step in function.steps.items() if not step.text.startswith(".")}  # no literals
        self.clobbered = CLOBBERED[graph.word]
        self.states = {}
        addresses = list(self.steps)
        self.following = dict(zip(addresses, addresses[1:]))
        for at in addresses:
            if at not in self.states:
                self.spread(at)

    def spread(self, first):
        todo = [(first, {})]
        while todo:
            at, state = todo.pop()
            known = self.states.get(at, state)
            both = {register: name for register, name in known.items() if state.get(register) == name}
            self.function.takes |= {*known.values(), *state.values()} - {*both.values()}
            if both != self.states.get(at):
                self.states[at] = both
                after = self.after(at)
                todo += [(to, after) for to in self.next(at)]

    def next(self, at):
        text = self.steps[at].text
        if JUMPS_BY_TABLE.match(text) and not self.through(at):
            return list(self.steps)
        jump = JUMPS.match(text)
        to = [int(jump[1], 16)] if jump else []
        if at in self.following and (self.steps[at].is_conditional or not ENDS.match(text)):
            to.append(self.following[at])
        return [address for address in to if address in self.steps]

    def is_branch(self, step):
        return bool(re.match(r"(b|j|cb|call|tail)", step.text))

    def through(self, at):
        """The register of an indirect branch, if its address is known."""
        register = THROUGH_REGISTER.match(self.steps[at].text)
        return register[1] if register and register[1] in self.states[at] else None

    def target(self, at):
        """The function that an instruction branches to, or whose address it has or copies."""
        step, state = self.steps[at], self.states[at]
        copy = COPY.match(step.text)
        copied = state.get(copy[1] or copy[2]) if copy else None
        return state.get(self.through(at)) or self.graph.target(self.function, step) or copied

    def after(self, at):
        step, state, target = self.steps[at], self.states[at], self.target(at)
        if CALL.match(step.text):
            keeps = not (target or "").startswith(OUTLINED)
            return {register: name for register, name in state.items() if keeps and not self.clobbered.match(register)}
        if self.is_branch(step):
            return state
        state = {register: name for register, name in state.items() if register not in step.written()}
        if target and not step.is_conditional:
            state.update((register, target) for register in step.written())
        return state

    def taken_by(self, at):
        """Functions whose addresses an instruction passes on: to memory, to a callee, or to the caller."""
        step, state, target = self.steps[at], self.states[at], self.target(at)
        if (target or "").startswith(OUTLINED):  # a part of this function, which has all registers
            return set(state.values()) - {target}
        if self.is_branch(step) or ENDS.match(step.text):
            leaves = target or CALL.match(step.text) or not JUMPS.match(step.text)
            arguments = [register for register in state if self.clobbered.match(register)]
            return {state[register] for register in arguments if leaves and register != self.through(at)}
        used = {name for register, name in state.items() if step.uses(register)}
        if step.is_conditional:
            return used | {target} - {None}
        return set() if COPY.match(step.text) else used


class Graph:
    """The functions of an object, and the functions whose addresses are taken."""

    def __init__(self, prefix, path):
        listing = run(prefix + "objdump", "-drz", "--no-show-raw-insn", path)
        self.word = 8 if "elf64" in listing[:200] else 4
        self.pushed_by_call = 8 if "x86-64" in listing[:200] else 0
        self.functions = {}
        self.labels = {}  # function, by section and address
        self.names = {}  # function, by each of its names
        self.tables = {}  # functions whose addresses are in a constant, by its section
        self.read(listing.splitlines())
        self.constants = {}  # section of a constant, by its name
        self.read_names(run(prefix + "objdump", "-t", path).splitlines())
        self.read_constants(run(prefix + "objdump", "-r", path).splitlines())
        for function in self.functions.values():
            self.connect(function)
        for name, function in self.functions.items():
            function.takes = self.handed_up(name)
        plain = run(prefix + "c++filt", given="\n".join(self.functions)).splitlines()
        self.plain = {name: re.sub(r"\[[0-9a-f]{8,}\]", "", text) for name, text in zip(self.functions, plain)}

    def read(self, lines):
        section = function = step = None
        conditional = 0
        for line in lines:
            if match := SECTION.match(line):
                section = match[1]
            elif match := FUNCTION.match(line):
                function = self.functions.setdefault(match[2], Function())
                self.labels[section, int(match[1], 16)] = match[2]
            elif match := INSTRUCTION.match(line):
                step = Step(f"{match[2]} {match[3]}", conditional > 0)
                conditional = len(match[2]) - 1 if IF_THEN.match(step.text) else conditional - 1
                function.steps[int(match[1], 16)] = step
            elif (match := RELOCATION.match(line)) and match[2] != "R_RISCV_RELAX":
                step.names = match[3]
                step.relocated = True

    def read_names(self, lines):
        """The disassembly names one of several functions at an address. A section's name means its first function."""
        for line in lines:
            if match := SYMBOL.match(line):
                label = self.labels.get((match[2], int(match[1], 16) & ~1))
                self.names[match[3]] = label
                self.constants[match[3]] = match[2]

    def function_at(self, name):
        """The function of that name; none if the name is a constant's."""
        name = re.sub(r"[+-]0x[0-9a-f]+$", "", name or "")
        return name if name in self.functions else self.names.get(name) or self.labels.get((name, 0))

    def is_known(self, name):
        return re.sub(r"[+-]0x[0-9a-f]+$", "", name) in self.names

    def target(self, function, step):
        if step.literal in function.steps:
            step = function.steps[step.literal]
        return self.function_at(step.names)

    def connect(self, function):
        """Finds the target of each branch. An address that is loaded and called at once counts as a call."""
        flow = Flow(self, function)
        before = None
        for at, step in flow.steps.items():
            function.takes |= self.table(function, step)
            target = flow.target(at)
            if target and flow.is_branch(step):
                self.lead(function, step, target)
            elif flow.is_branch(step) and step.relocated and not self.is_known(step.names):
                sys.exit(f"stack: nobody knows {step.names}, where this leads: {step.text}")
            elif THROUGH_POINTER.match(step.text) and not self.jumps_by_table(step, before):
                function.through_pointer = True
            function.takes |= flow.taken_by(at)
            before = step

    def jumps_by_table(self, step, before):
        """Whether a table's offset was just added to the table's address, as only x86-64 does."""
        base = ADDS_BASE.match(before.text) if before else None
        return bool(base) and step.text.split() == ["jmp", "*" + base[1]]

    def handed_up(self, name):
        """The addresses that a function takes, also in code that the compiler moved out of it."""
        function = self.functions[name]
        cut_out = {callee for callee in function.calls | function.jumps if callee.startswith(OUTLINED)}
        return function.takes.union(*(self.handed_up(callee) for callee in cut_out))

    def table(self, function, step):
        """The functions in the table that an instruction names."""
        if step.literal in function.steps:
            step = function.steps[step.literal]
        name = re.sub(r"[+-]0x[0-9a-f]+$", "", step.names or "")
        return self.tables.get(name, self.tables.get(self.constants.get(name), set()))

    def lead(self, function, step, target):
        is_call = CALL.match(step.text)
        if is_call or self.functions[target] is not function:
            (function.calls if is_call else function.jumps).add(target)

    def read_constants(self, lines):
        section = ""
        for line in lines:
            if line.startswith("RELOCATION RECORDS FOR"):
                section = line.split("[")[1].split("]")[0]
            elif section.startswith((".rodata", ".data")) and len(line.split()) == 3:
                _, kind, name = line.split()
                is_label = kind.endswith("PC32") or name.startswith(".L")  # of a jump table
                if not is_label and (target := self.function_at(name)):
                    self.tables.setdefault(section, set()).add(target)


class Depths:
    """The deepest path down from each function."""

    def __init__(self, graph, frames):
        self.graph = graph
        self.known = {}
        self.reached = set()  # through pointers
        self.frames = {
            name: sum(step.lowers(graph.word) for step in function.steps.values())
            for name, function in graph.functions.items()
        }
        self.frames.update(frames)
        self.kept = frozenset(name for name in graph.functions if self.is_like(name, *KEPT))

    def is_like(self, name, *patterns):
        return any(fnmatch.fnmatchcase(self.graph.plain[name], pattern) for pattern in patterns)

    def pointed(self, name, handed):
        """The possible targets of a function's calls through pointers."""
        if not self.graph.functions[name].through_pointer:
            return set()
        never = [callee for callers, callees in NEVER if self.is_like(name, *callers) for callee in callees]
        ends = {callee for callee in handed | self.kept if not self.is_like(callee, *never)}
        self.reached |= ends
        return ends

    def of(self, name, above=(), handed=frozenset()):
        """Bytes, and the functions on the path; `handed`: functions whose addresses were taken on the path so far."""
        if name in above:
            self.no_bound(above[above.index(name) :] + (name,))
        function = self.graph.functions[name]
        handed = handed | function.takes
        if (name, handed) in self.known:
            return self.known[name, handed]
        above += (name,)
        best = (self.frames[name], [])
        for callee in sorted(function.calls | function.jumps | self.pointed(name, handed)):
            depth, way = self.of(callee, above, handed)
            if callee not in function.jumps:
                depth += self.frames[name] + self.graph.pushed_by_call
            best = max(best, (depth, way))
        self.known[name, handed] = (best[0], [name] + best[1])
        return self.known[name, handed]

    def no_bound(self, circle):
        """Ends the program and prints the cycle."""
        text = self.graph.plain[circle[0]]
        for caller, callee in zip(circle, circle[1:]):
            function = self.graph.functions[caller]
            text += " > " if callee in function.calls | function.jumps else " > through a pointer: "
            text += self.graph.plain[callee]
        sys.exit(f"stack: no bound, for there is recursion: {text}")

    def kept_unsaid(self):
        """Functions whose addresses were taken, and which no call reaches, by name or through a pointer."""
        functions = self.graph.functions.values()
        taken = set().union(*(function.takes for function in functions))
        called = self.reached.union(*(function.calls | function.jumps for function in functions))
        return sorted(self.graph.plain[name] for name in taken - called - self.kept)


def main():
    path, archive, prefix = sys.argv[1:4]
    graph = Graph(prefix, path)
    frames = compiler_frames(archive)
    roots = [name for name in graph.functions if name.startswith("larder_")]
    unknown = [name for name in graph.functions if name.startswith(("larder_", "_R")) and name not in frames]
    if not roots or unknown:
        sys.exit(f"stack: no frame is known of {unknown or 'any larder_ function'}")
    depths = Depths(graph, frames)
    found = sorted(((depths.of(root), root) for root in roots), reverse=True)
    if kept := depths.kept_unsaid():
        sys.exit(f"stack: no call further down reaches these, so that their addresses are kept: {', '.join(kept)}")
    for depth, root in found:
        print(depth[0], root, " > ".join(f"{name}({depths.frames[name]})" for name in depth[1]))
    through = sorted(name for name, function in graph.functions.items() if function.through_pointer)
    print("through a pointer call:", *through, file=sys.stderr)


if __name__ == "__main__":
    main()
