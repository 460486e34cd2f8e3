//! What a reader meets in every file: short lines, words with one meaning, a word about each `unsafe`.

use std::path::{Path, PathBuf};

const LINE_CHARS_MAX: usize = 120;

/// Words that the sources and the documentation do without, and what they say instead.
const WORDS: [(&str, &str); 12] = [
    ("whoever", "name the actor"),
    ("nobody", "name the actor, or: no other ..."),
    ("somebody", "name the actor"),
    ("lodge", "take a slot"),
    ("lodges", "takes a slot"),
    ("purge", "evict, expire or delete"),
    ("purged", "evicted, expired or deleted"),
    ("drain", "pass, or clean"),
    ("drains", "passes, or cleans"),
    ("hwm", "watermark or peak"),
    ("todo", "do it, or leave it out"),
    ("fixme", "mend it"),
];

/// Where these words are looked for, and where lines are measured.
const READ: [&str; 8] = [
    "src",
    "include",
    "docs",
    "c-examples",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
];
const MEASURED: [&str; 11] = [
    "src",
    "include",
    "docs",
    "c-examples",
    "tests",
    "benches",
    "Makefile",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
];
const KINDS: [&str; 9] = ["rs", "c", "h", "hpp", "cpp", "sh", "py", "md", "js"];

struct File {
    path: PathBuf,
    text: String,
}

impl File {
    fn is(&self, kind: &str) -> bool {
        self.path.extension().is_some_and(|it| it == kind)
    }

    fn fault(&self, at: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path.display(), at + 1)
    }

    /// Lines, but for those of tables and of blocks that a command printed.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_page = self.is("md");
        let (mut inside, mut printed) = (false, false);
        self.text.lines().enumerate().filter(move |(_, line)| {
            if line.starts_with("```") {
                inside = !inside;
                printed = inside && ["```text", "```text output"].contains(line);
            }
            !is_page || !(printed || line.starts_with('|'))
        })
    }
}

/// Files of text below the named places, from the package's directory on.
fn files(places: &[&str]) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = places.iter().map(|place| root.join(place)).collect();
    let mut files = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.ends_with("Makefile") || has_kind(&path) {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_owned();
            files.push(File { path, text });
        }
    }
    files
}

fn has_kind(path: &Path) -> bool {
    let kind = path.extension().and_then(|kind| kind.to_str());
    path.is_file() && kind.is_some_and(|kind| KINDS.contains(&kind))
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn no_line_is_long() {
    let files = files(&MEASURED);
    assert!(files.len() > 100, "the sources were not found");
    let mut faults = Vec::new();
    for file in &files {
        for (at, line) in file.lines() {
            let len = line.chars().count();
            if len > LINE_CHARS_MAX {
                faults.push(file.fault(at, &format!("{len} characters, {LINE_CHARS_MAX} at most")));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn words_to_avoid_are_avoided() {
    let mut faults = Vec::new();
    for file in files(&READ) {
        for (at, line) in file.lines() {
            let line = line.to_lowercase();
            let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for word in words {
                if let Some((_, instead)) = WORDS.iter().find(|(avoided, _)| *avoided == word) {
                    faults.push(file.fault(at, &format!("'{word}': {instead}")));
                }
            }
        }
    }
    assert_none(&faults);
}

/// A SAFETY comment stands right above each block or implementation, with at most the head of a statement between.
#[test]
fn every_unsafe_block_has_its_reason() {
    let mut faults = Vec::new();
    let mut blocks = 0;
    for file in files(&["src"]) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap();
            if !code.contains("unsafe {") && !code.contains("unsafe impl") {
                continue;
            }
            blocks += 1;
            let above = &lines[at.saturating_sub(8)..at];
            if !above.iter().any(|line| line.contains("// SAFETY: ")) {
                faults.push(file.fault(at, "an unsafe block without a SAFETY comment"));
            }
        }
    }
    assert!(blocks > 100, "only {blocks} blocks found");
    assert_none(&faults);
}
