#!/usr/bin/env python3
"""Checks the pages in docs/ and beside them: compiles their code, runs what prints, and looks up what they name.

A block of C or C++ with `main` is a program: it is run, and must end with 0. Other blocks of C are pieces of one file,
as bodies of functions. A block of sh names commands that exist. A block `text output` is what the block before prints.
usage: snippets.py [--bless]      --bless writes these outputs anew
"""

import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "target/docs"
LIBRARY = ["target/lib/liblarder.a", "-lpthread", "-lm"]
CC = ["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Iinclude"]
CXX = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Iinclude"]
README_BYTES_MAX = 9 * 1024
# Pages whose code another test compiles, and the test.
ELSEWHERE = {
    "docs/cpp.md": "tests/c/run.sh",
    "docs/build.md": "tests/dist/run.sh",
    "docs/firmware.md": "tests/firmware/run.sh",
    "docs/rust.md": "src/owned.rs",
}
PIECES = """#include <larder.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
"""
PIECE = """int piece{n}(larder_cache *cache, void *memory, size_t size);
int piece{n}(larder_cache *cache, void *memory, size_t size)
{{
(void)cache, (void)memory, (void)size;
#line {line} "{path}"
{code}
return 0;
}}
"""
faults = []
checked = 0


def check(holds, path, line, claim):
    global checked
    checked += 1
    if not holds:
        faults.append(f"{path}:{line}: {claim}")


class Block:
    def __init__(self, path, line, kind):
        self.path, self.line, self.kind, self.lines = path, line, kind, []

    @property
    def code(self):
        return "\n".join(self.lines) + "\n"


def blocks_of(path, text):
    found, inside = [], None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```") and inside is None:
            inside = Block(path, number + 1, line[3:].strip())
            found.append(inside)
        elif line.startswith("```"):
            inside = None
        elif inside is not None:
            inside.lines.append(line)
    return found


def run(command, **options):
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=300, **options)


def compiled(command, block):
    """The program of a block, or None."""
    name = f"{pathlib.Path(block.path).stem}-{block.line}"
    source = OUT / (name + (".cpp" if block.kind == "cpp" else ".c"))
    source.write_text(block.code)
    done = run([*command, str(source), "-o", str(OUT / name), *LIBRARY])
    check(done.returncode == 0, block.path, block.line, "does not compile:\n" + done.stderr)
    return [str(OUT / name)] if done.returncode == 0 else None


def command_exists(line, targets):
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a quotation that ends in another line
        return True
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words.pop(0)
    if not words or words[0] not in ("make", "cargo"):
        return True
    if words[0] == "make":
        return all("=" in word or word in targets for word in words[1:])
    pairs = list(zip(words, words[1:]))
    tests = [name for flag, name in pairs if flag == "--test"]
    benches = [name for flag, name in pairs if flag == "--bench"]
    return all((ROOT / f"tests/{t}.rs").exists() or (ROOT / f"tests/{t}/main.rs").exists() for t in tests) and all(
        f'name = "{b}"' in (ROOT / "Cargo.toml").read_text() or (ROOT / f"benches/{b}.rs").exists() for b in benches
    )


def check_names(path, text, header, targets):
    """Functions, files, commands and links that a page names."""
    for number, line in enumerate(text.splitlines(), 1):
        for name in re.findall(r"\b(?:larder_[a-z0-9_]*[a-z0-9]|LARDER_[A-Z0-9_]*[A-Z0-9])\b(?!\*|_?\.\.|_)", line):
            known = re.search(rf"\b{name}\b", header) or name in OTHER_NAMES
            check(known, path, number, f"{name} is not in include/larder.h")
        for code in re.findall(r"`([^`]+)`", line):
            check(command_exists(code, targets), path, number, f"there is no such command: {code}")
            if re.fullmatch(r"(?:src|tests|docs|benches|c-examples|include)/[\w./-]+", code):
                check((ROOT / code).exists(), path, number, f"there is no {code}")
        for link in re.findall(r"\]\(([^)\s]+)\)", line):
            if link.startswith("http"):
                continue
            file, _, anchor = link.partition("#")
            target = (ROOT / path).parent / file if file else ROOT / path
            check(target.exists(), path, number, f"a link to nothing: {link}")
            if anchor and target.is_file():
                check(anchor in anchors(target.read_text()), path, number, f"a link to no heading: {link}")


# Names of environment and build, which are not in the header.
OTHER_NAMES = {
    "LARDER_TRACES", "LARDER_PREBUILT", "LARDER_RUST_TARGET", "LARDER_BLESS", "LARDER_NO_PMR", "LARDER_MODEL_OPS",
    "LARDER_HOSTILE_IMAGES", "larder_no_heap", "CONFIG_LARDER",
}  # fmt: skip


def anchors(text):
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def check_code(path, blocks, pieces, targets, bless):
    """Compiles and runs; returns what output blocks should hold."""
    command, wanted = None, {}
    for block in blocks:
        kind = block.kind.split(" ")[0]
        if kind == "c" and "int main(" in block.code or kind == "cpp" and "int main(" in block.code:
            command = compiled(CC if kind == "c" else CXX, block)
            if command:
                done = run(command)
                check(done.returncode == 0, path, block.line, f"ends with {done.returncode}: {done.stderr}")
        elif kind == "c" and block.lines[0].startswith("#include"):
            done = run([*CC, "-fsyntax-only", "-x", "c", "-"], input=block.code)
            check(done.returncode == 0, path, block.line, "does not compile:\n" + done.stderr)
        elif kind == "c":
            pieces.append(PIECE.format(n=len(pieces), line=block.line, path=path, code=block.code))
        elif kind == "sh":
            done = run(["sh", "-n"], input=block.code)
            check(done.returncode == 0, path, block.line, done.stderr)
            for line in block.lines:
                check(command_exists(line, targets), path, block.line, f"there is no such command: {line}")
            command = ["sh", "-ec", block.code]
        elif block.kind == "text output":
            check(command is not None, path, block.line, "output of nothing")
            output = run(command, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}).stdout if command else ""
            wanted[block.line] = output
            if not bless:
                check(output == block.code, path, block.line, "prints (`make docs` writes it):\n" + output)
        else:
            known = kind in ("text", "rust")
            check(known, path, block.line, f"a block of '{block.kind}', which nothing checks")
            if kind == "rust":
                is_tested = f'include_str!("../{path}")' in (ROOT / "src/owned.rs").read_text()
                check(is_tested, path, block.line, "Rust that no doctest includes")
    return wanted


def with_outputs(text, wanted):
    lines = text.splitlines()
    for line in sorted(wanted, reverse=True):
        end = next(i for i in range(line - 1, len(lines)) if lines[i].startswith("```"))
        lines[line - 1 : end] = wanted[line].splitlines()
    return "\n".join(lines) + "\n"


def main():
    bless = sys.argv[1:] == ["--bless"]
    if sys.argv[1:] not in ([], ["--bless"]):
        sys.exit("usage: snippets.py [--bless]")
    OUT.mkdir(parents=True, exist_ok=True)
    header = (ROOT / "include/larder.h").read_text() + (ROOT / "include/larder.hpp").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    targets |= set(re.findall(r"test-[a-z]+", (ROOT / "Makefile").read_text()))
    readme = (ROOT / "README.md").read_text()
    check(len(readme.encode()) <= README_BYTES_MAX, "README.md", 1, f"{len(readme.encode())} bytes, 9 KB at most")
    check("make test" in readme, "README.md", 1, "does not name `make test`")
    figures = (ROOT / "docs/benchmarks.md").read_text()
    for number, row in enumerate(readme.splitlines(), 1):
        if re.fullmatch(r"\|[^|]+(\| [\d.]+ )+\|", row):
            check(row in figures, "README.md", number, "figures that docs/benchmarks.md does not have")
    pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
    pages += sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))
    pieces = []
    for path in pages:
        text = (ROOT / path).read_text()
        check_names(path, text, header, targets)
        if path.startswith("docs/"):
            check(f"({path})" in readme, path, 1, "README.md does not link to it")
        if path in ELSEWHERE:
            name = path.removeprefix("docs/")
            check(name in (ROOT / ELSEWHERE[path]).read_text(), path, 1, f"{ELSEWHERE[path]} does not compile its code")
            continue
        wanted = check_code(path, blocks_of(path, text), pieces, targets, bless)
        if bless and with_outputs(text, wanted) != text:
            (ROOT / path).write_text(with_outputs(text, wanted))
    (OUT / "pieces.c").write_text(PIECES + "".join(pieces))
    done = run([*CC, "-fsyntax-only", str(OUT / "pieces.c")])
    check(done.returncode == 0, "docs", 0, done.stderr)
    for fault in faults:
        print(fault)
    print(f"snippets: {checked - len(faults)} passed, {len(faults)} failed")
    sys.exit(1 if faults else 0)


main()
