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
    header
        .lines()
        .map(|line| parenthesized(line) + "\n")
        .collect()
}

/// A negative constant stands in parentheses, so that it is one operand wherever its name is.
fn parenthesized(line: &str) -> String {
    match line
        .strip_prefix("#define ")
        .and_then(|rest| rest.split_once(" -"))
    {
        Some((name, number)) => format!("#define {name} (-{number})"),
        None => line.to_owned(),
    }
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
        for line in source.lines() {
            let name = ["pub unsafe extern \"C\" fn ", "pub extern \"C\" fn "]
                .iter()
                .find_map(|start| line.strip_prefix(start))
                .map(|rest| format!("{}(", rest.split('(').next().unwrap()))
                .or_else(|| {
                    let rest = line.strip_prefix("pub const LARDER_")?;
                    Some(format!(
                        "#define LARDER_{} ",
                        rest.split(':').next().unwrap()
                    ))
                });
            if let Some(name) = name {
                assert!(header.contains(&name), "{name} is not in the header");
                names += 1;
            }
        }
    }
    assert!(names >= 90, "only {names} names found");
}
