//! `include/larder.h` is what cbindgen makes of `src/ffi`, and declares every exported function.

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
    let lines: Vec<String> = header.lines().map(constant).collect();
    with_c90_comments(&with_initializers(&lines))
}

/// A constant is one operand wherever its name is, and has the same type in every version of C.
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

/// Puts an initializer behind each structure that needs one.
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

/// Defines `LARDER_.._INIT` for a structure that says its size, or that a call fills with statistics or the like.
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

/// Makes each run of `//` lines one comment as C90 has them.
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

/// With `LARDER_BLESS` set, writes the header; without, compares it.
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
        "include/larder.h is not what src/ffi makes: run `make header`"
    );
}

/// cbindgen leaves out what it cannot read, without a word.
#[test]
fn every_exported_name_stands_in_the_header() {
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

/// Rust's own names are not C's.
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

/// Of structures that say their size.
fn initializers(source: &str) -> impl Iterator<Item = String> {
    source.split("pub struct ").skip(1).filter_map(|structure| {
        let (name, body) = structure.split_once(" {")?;
        let noun = name.strip_suffix("_t").unwrap_or(name).to_uppercase();
        let (body, _) = body.split_once("\n}")?;
        body.contains("pub struct_size:")
            .then(|| format!("#define {noun}_INIT {{ sizeof({name})"))
    })
}
