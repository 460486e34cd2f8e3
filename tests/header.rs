//! `include/larder.h` equals cbindgen's output for `src/ffi`, and declares every exported function.

#[path = "header/chapters.rs"]
mod chapters;

use std::path::Path;

fn generate() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let bindings = cbindgen::Builder::new()
        .with_crate(root)
        .with_config(config)
        .generate()
        .expect("header");
    let mut header = Vec::new();
    bindings.write(&mut header);
    let header = String::from_utf8(header).expect("UTF-8");
    let titles = chapters::CHAPTERS
        .iter()
        .map(|chapter| format!(" *   {}", chapter.title()));
    let header = header.replace("@chapters", &titles.collect::<Vec<_>>().join("\n"));
    let lines: Vec<String> = header.lines().map(constant).collect();
    let lines = chapters::in_chapters(&without_safety(&lines), &source);
    with_c90_comments(&with_initializers(&lines))
}

/// The text of a file of src/ffi, named without its extension.
fn source(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ffi");
    let path = folder.join(file).with_extension("rs");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Leaves out the promises to Rust's `unsafe`: the head of the header has them once for all functions.
fn without_safety(lines: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut skips = false;
    for line in lines {
        let comment = line.strip_prefix("//").map(str::trim);
        skips = comment.is_some() && (skips || comment == Some("# Safety"));
        if !skips {
            if comment.is_none() && out.last().is_some_and(|last| last == "//") {
                out.pop();
            }
            out.push(line.clone());
        }
    }
    out
}

/// Rewrites a constant, so that it is one operand in every expression and has the same type in every version of C.
fn constant(line: &str) -> String {
    let number = line.strip_prefix("#define ").and_then(|rest| {
        let (name, number) = rest.split_once(' ')?;
        Some((name, number.parse::<i64>().ok()?))
    });
    match number {
        Some((name, number)) if number < 0 => format!("#define {name} ({number})"),
        Some((name, number)) if number > i64::from(i32::MAX) => format!("#define {name} {number}u"),
        _ => line.to_owned(),
    }
}

/// Adds an initializer after each structure that needs one.
fn with_initializers(lines: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    let mut declarations = String::new();
    for line in lines {
        out.push(line.clone());
        if line.starts_with("typedef struct ") {
            declarations.clear();
        } else if let Some(name) = line.strip_prefix("} ").and_then(|l| l.strip_suffix(';')) {
            out.extend(initializer(name, &declarations));
        } else if !line.trim_start().starts_with("//") {
            declarations += line;
        }
    }
    out
}

/// Defines `LARDER_.._INIT` for a structure that has its size in a field, or that a call fills.
fn initializer(name: &str, declarations: &str) -> Option<String> {
    let noun = name.strip_suffix("_t").unwrap_or(name);
    let is_filled = ["_stats", "_report", "_info"]
        .iter()
        .any(|kind| noun.ends_with(kind));
    if !is_filled && !declarations.contains(" struct_size;") {
        return None;
    }
    let mut macro_lines = vec![format!("#define {}_INIT {{", noun.to_uppercase())];
    for declaration in declarations.split_terminator(';') {
        let value = initial_value(name, declaration);
        let last = macro_lines.last_mut().expect("the first");
        if last.len() + value.len() < 96 {
            *last += &format!(" {value},");
        } else {
            macro_lines.push(format!("  {value},"));
        }
    }
    let whole = macro_lines.join(" \\\n");
    Some(whole.trim_end_matches(',').to_owned() + " }")
}

fn initial_value(structure: &str, declaration: &str) -> String {
    let monitor = larder::MonitorConfig::default();
    match declaration.rsplit(' ').next().expect("a name") {
        "struct_size" => format!("sizeof({structure})"),
        "abi_version" => "1".to_owned(),
        "interval_ms" => monitor.interval_ms.to_string(),
        "high_percent" => monitor.high_percent.to_string(),
        "low_percent" => monitor.low_percent.to_string(),
        _ if declaration.contains('[') => "{0}".to_owned(),
        _ if declaration.contains('*') => "NULL".to_owned(),
        _ => "0".to_owned(),
    }
}

/// Turns each run of `//` lines into one C90 comment.
fn with_c90_comments(lines: &[String]) -> String {
    let mut out = String::new();
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    for (i, line) in lines.iter().enumerate() {
        let Some((code, text)) = line.split_once("//") else {
            out += &format!("{line}\n");
            continue;
        };
        assert!(
            !text.contains("/*") && !text.contains("*/"),
            "a comment in a comment: {line}"
        );
        let begins = !is_comment(line) || i == 0 || !is_comment(&lines[i - 1]);
        let ends = !is_comment(line) || !lines.get(i + 1).is_some_and(|next| is_comment(next));
        let (start, end) = (
            if begins { "/*" } else { " *" },
            if ends { " */" } else { "" },
        );
        out += &format!("{code}{start}{text}{end}\n");
    }
    out
}

/// With `LARDER_BLESS` set, writes the header; otherwise compares it.
#[test]
fn the_header_is_the_one_that_the_sources_make() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/larder.h");
    let header = generate();
    if std::env::var_os("LARDER_BLESS").is_some() {
        std::fs::write(&path, &header).expect("include/larder.h");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        header == committed,
        "include/larder.h differs from what src/ffi generates: run `make header`"
    );
}

/// Words of Rust say nothing to a reader of C.
#[test]
fn the_header_speaks_c() {
    let header = generate();
    let words = [
        "# Safety", "usize", "&[", "Option", "unsafe", "trait", "::", "&mut", "nobody", "whoever",
    ];
    for (i, line) in header.lines().enumerate() {
        let text = line.to_lowercase();
        for word in words {
            let found = text.contains(&word.to_lowercase());
            assert!(!found, "include/larder.h:{}: {word}: {line}", i + 1);
        }
    }
}

/// Each function says what it costs, or which other function it is like.
#[test]
fn every_function_says_what_it_costs() {
    let header = generate();
    let mut functions = 0;
    for block in header.split("\n\n").filter(|block| block.ends_with(");")) {
        let Some((comment, declaration)) = block.split_once("*/\n") else {
            continue;
        };
        if declaration.starts_with("typedef") {
            continue;
        }
        let name = declaration.split('(').next().unwrap();
        let says = ["O(", "as larder_", "As larder_"]
            .iter()
            .any(|cost| comment.contains(cost));
        assert!(
            says,
            "{name}: the comment names no cost, as O(1) or O(items)"
        );
        functions += 1;
    }
    assert!(functions >= 75, "only {functions} functions found");
}

/// Each chapter has its declarations, in the order of use.
#[test]
fn the_header_has_its_chapters() {
    let header = generate();
    let mut at = 0;
    for chapter in &chapters::CHAPTERS {
        let banner = format!("\n * {}\n", chapter.title());
        let place = header[at..].find(&banner);
        at += place
            .unwrap_or_else(|| panic!("no chapter {:?} behind the one before", chapter.title()));
    }
    let order = [
        "larder_version_number(",
        "larder_arena_init(",
        "larder_pool_init(",
        "larder_cache_init(",
        "larder_cache_set(",
        "larder_cache_get(",
        "larder_cache_delete(",
        "larder_cache_set_i64(",
        "larder_cache_get_many(",
        "larder_cache_pin(",
        "larder_cache_set_memory_limit(",
        "larder_cache_stats(",
        "larder_monitor_init(",
    ];
    let places = order.map(|name| header.find(&format!(" {name}")).expect(name));
    assert!(places.is_sorted(), "{order:?} are at {places:?}");
}

/// cbindgen leaves out items that it cannot read, without a warning.
#[test]
fn every_exported_name_is_in_the_header() {
    let header = generate();
    let mut names = 0;
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ffi")).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for name in exported_functions(&source)
            .chain(exported_constants(&source))
            .chain(initializers(&source))
        {
            assert!(header.contains(&name), "{name} is not in the header");
            names += 1;
        }
    }
    assert!(names >= 90, "only {names} names found");
}

/// Names of Rust alone must not be in the header.
#[test]
fn every_name_of_the_header_is_larder_s() {
    let header = generate();
    let mut names = 0;
    for line in header.lines() {
        let mut words = line.split([' ', '(']);
        let name = match (words.next(), words.next()) {
            (Some("#define"), name) => name,
            (Some("struct" | "enum" | "union"), name) => name,
            (Some("typedef"), _) if line.ends_with(';') && !line.contains("(*") => {
                line.trim_end_matches(';').split(' ').next_back()
            }
            _ => None,
        };
        if let Some(name) = name {
            let ours = name.starts_with("larder_") || name.starts_with("LARDER_");
            assert!(ours, "{name} is in the header: {line}");
            names += 1;
        }
    }
    assert!(names >= 60, "only {names} names found");
}

fn exported_functions(source: &str) -> impl Iterator<Item = String> {
    source.lines().filter_map(|line| {
        let (_, rest) = line
            .split_once("pub unsafe extern \"C\" fn ")
            .or_else(|| line.split_once("pub extern \"C\" fn "))?;
        Some(format!("{}(", rest.split('(').next()?))
    })
}

fn exported_constants(source: &str) -> impl Iterator<Item = String> {
    source.lines().filter_map(|line| {
        let rest = line.strip_prefix("pub const LARDER_")?;
        Some(format!("#define LARDER_{} ", rest.split(':').next()?))
    })
}

/// Names of the initializers of all structures that have their size in a field.
fn initializers(source: &str) -> impl Iterator<Item = String> {
    source.split("pub struct ").skip(1).filter_map(|structure| {
        let (name, body) = structure.split_once(" {")?;
        let noun = name.strip_suffix("_t").unwrap_or(name).to_uppercase();
        let (body, _) = body.split_once("\n}")?;
        body.contains("pub struct_size:")
            .then(|| format!("#define {noun}_INIT {{ sizeof({name})"))
    })
}
