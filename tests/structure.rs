//! The shape of src/: short files and functions, and layers. The order of the layers is the map in src/lib.rs. Programs
//! in src/bin use the library from outside: of the rules, those of length are theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Maximum lines of all files together, of one file, of one function.
const SOURCE_LINES_MAX: usize = 27_250;
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Methods of the standard library whose names also occur in one of our modules.
const STANDARD: [&str; 10] = [
    "any",
    "as_ref",
    "finish",
    "into_iter",
    "is_empty",
    "is_none",
    "iter",
    "push",
    "size",
    "sum",
];

struct Source {
    /// Relative to src/.
    path: PathBuf,
    text: String,
}

impl Source {
    /// The file's top-level module.
    fn module(&self) -> String {
        let first = self.path.components().next().unwrap();
        let name = Path::new(first.as_os_str()).file_stem().unwrap();
        name.to_str().unwrap().to_owned()
    }

    fn is_of_a_program(&self) -> bool {
        self.path.starts_with("bin")
    }

    /// Lines of code outside unit tests, numbered, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.path.ends_with("tests.rs");
        let lines = self.text.lines().enumerate();
        lines
            .take_while(move |(_, line)| !is_test && *line != "#[cfg(test)]")
            .map(|(i, line)| (i + 1, line.split("//").next().unwrap_or("")))
    }

    /// Each function: its name, its first line, its length in lines.
    fn functions(&self) -> Vec<(String, usize, usize)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut found = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else {
                continue;
            };
            let indent = line.len() - line.trim_start().len();
            let end = format!("{}}}", " ".repeat(indent));
            let body = lines[at..].iter().position(|line| *line == end);
            let declared = lines[at..].iter().position(|line| line.ends_with(';'));
            if let Some(len) = body
                && !line.ends_with('}')
                && !(line.ends_with(';') && declared == Some(0))
            {
                found.push((name, at + 1, len + 1));
            }
        }
        found
    }
}

fn function_name(line: &str) -> Option<String> {
    let (before, after) = line.split_once("fn ")?;
    let words = [
        "pub",
        "pub(crate)",
        "pub(super)",
        "const",
        "unsafe",
        "extern",
        "\"C\"",
    ];
    let is_start = before.split_whitespace().all(|word| words.contains(&word));
    let name: String = after.chars().take_while(|c| is_word(*c)).collect();
    (is_start && !name.is_empty()).then_some(name)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The library's files.
fn sources() -> Vec<Source> {
    let mut sources = all_sources();
    sources.retain(|source| !source.is_of_a_program());
    sources
}

fn all_sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_owned();
                sources.push(Source { path, text });
            }
        }
    }
    assert!(sources.len() > 30, "src/ was not found");
    sources
}

#[test]
fn programs_are_looked_at() {
    let programs = all_sources().into_iter().filter(Source::is_of_a_program);
    assert!(programs.count() > 10, "src/bin was not found");
}

/// Modules from the lowest layer up: the first column of the map in src/lib.rs.
fn layers(sources: &[Source]) -> Vec<String> {
    let lib = sources.iter().find(|s| s.path.ends_with("lib.rs")).unwrap();
    let (_, map) = lib.text.split_once("//! | module | ").unwrap();
    let rows = map
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with("//! |"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split(','));
    names
        .map(|name| name.trim().trim_matches('`').to_owned())
        .collect()
}

/// Modules that a line names.
fn named(line: &str) -> impl Iterator<Item = String> + '_ {
    line.match_indices("crate::").map(|(at, path)| {
        let rest = &line[at + path.len()..];
        rest.chars().take_while(|c| is_word(*c)).collect()
    })
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Endings of expressions that are lengths. Only `limits::narrow` converts a length to 32 bits, with a debug check.
const LENGTHS: [&str; 3] = ["len", "len()", "len(pages)"];

#[test]
fn no_length_is_cut_off_in_silence() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|s| !s.path.ends_with("limits.rs")) {
        for (at, line) in source.code() {
            for (i, _) in line.match_indices(" as u") {
                let narrows = ["8", "16", "32"].iter().any(|n| {
                    let rest = line[i + 5..].strip_prefix(n);
                    rest.is_some_and(|rest| !rest.starts_with(is_word))
                });
                let is_length = LENGTHS.iter().any(|name| line[..i].ends_with(name));
                // Allowed: a byte of the hash's last word, by its definition, and eight bits of an item's first word.
                let meant = ["(bytes.len() as u32) << 24", "head.key_len() as u32"];
                if narrows && is_length && !meant.iter().any(|meant| line.contains(meant)) {
                    faults.push(format!(
                        "src/{}:{at}: {}",
                        source.path.display(),
                        line.trim()
                    ));
                }
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn no_file_and_no_function_is_long() {
    let (mut sum, mut faults) = (0, Vec::new());
    for source in all_sources() {
        let path = source.path.display();
        let lines = source.text.lines().count();
        sum += if source.is_of_a_program() { 0 } else { lines };
        if lines > FILE_LINES_MAX {
            faults.push(format!(
                "src/{path}: {lines} lines, {FILE_LINES_MAX} at most"
            ));
        }
        for (name, at, len) in source.functions() {
            if len > FUNCTION_LINES_MAX {
                faults.push(format!(
                    "src/{path}:{at}: fn {name} has {len} lines, {FUNCTION_LINES_MAX} at most"
                ));
            }
        }
    }
    if sum > SOURCE_LINES_MAX {
        faults.push(format!("src: {sum} lines, {SOURCE_LINES_MAX} at most"));
    }
    assert_none(&faults);
}

#[test]
fn the_map_names_every_module_once() {
    let sources = sources();
    let layers = layers(&sources);
    let once: BTreeSet<&String> = layers.iter().collect();
    assert_eq!(
        once.len(),
        layers.len(),
        "a module occurs twice in {layers:?}"
    );
    let mut modules: BTreeSet<String> = sources.iter().map(Source::module).collect();
    modules.remove("lib");
    assert_eq!(modules, layers.into_iter().collect());
}

/// So there is no cycle of modules.
#[test]
fn modules_name_lower_ones_alone() {
    let sources = sources();
    let layers = layers(&sources);
    let level = |module: &str| layers.iter().position(|layer| layer == module);
    let mut faults = Vec::new();
    for source in &sources {
        let module = source.module();
        let Some(own) = level(&module) else { continue };
        for (at, line) in source.code() {
            for name in named(line) {
                if name != module && level(&name).is_some_and(|other| other > own) {
                    let path = source.path.display();
                    faults.push(format!(
                        "src/{path}:{at}: {module} names {name}, a higher layer"
                    ));
                }
            }
        }
    }
    assert_none(&faults);
}

/// `impl Store` is in several modules. A lower module must not call a method that a higher one adds.
#[test]
fn modules_call_methods_of_lower_ones_alone() {
    let sources = sources();
    let layers = layers(&sources);
    let level = |module: &str| layers.iter().position(|layer| layer == module);
    let mut homes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in &sources {
        for (_, line) in source.code() {
            if let Some(name) = function_name(line).filter(|_| line.contains("self")) {
                homes.entry(name).or_default().insert(source.module());
            }
        }
    }
    // Only names that are defined in one module and in no type of the standard library.
    homes.retain(|name, homes| homes.len() == 1 && !STANDARD.contains(&name.as_str()));
    assert!(homes.len() > 200);
    let mut faults = Vec::new();
    for source in &sources {
        let module = source.module();
        let Some(own) = level(&module) else { continue };
        for (at, line) in source.code() {
            for (i, _) in line.match_indices('.') {
                let name: String = line[i + 1..].chars().take_while(|c| is_word(*c)).collect();
                let is_call = line[i + 1 + name.len()..].starts_with('(');
                let home = homes
                    .get(&name)
                    .and_then(BTreeSet::first)
                    .filter(|_| is_call);
                if let Some(home) = home.filter(|home| level(home) > Some(own)) {
                    let path = source.path.display();
                    faults.push(format!(
                        "src/{path}:{at}: {module} calls {name} of {home}, a higher layer"
                    ));
                }
            }
        }
    }
    assert_none(&faults);
}
