//! The chapters of `include/larder.h`, in the order of use. Inside a chapter the order is that of the files named
//! here, and inside a file that of its lines.

/// Title, introduction, and files of src/ffi.
pub(crate) struct Chapter(&'static str, &'static str, &'static [&'static str]);

impl Chapter {
    pub(crate) fn title(&self) -> &'static str {
        self.0
    }
}

pub(crate) const CHAPTERS: [Chapter; 12] = [
    Chapter(
        "Version and status",
        "A call that can fail returns a larder_status.",
        &["status"],
    ),
    Chapter(
        "Arena",
        "Bump allocation over regions, freed all at once. An arena belongs to one thread at a time.",
        &["arena"],
    ),
    Chapter(
        "Pool",
        "Blocks of any size in one region, each released by itself and reused. Calls may come from any thread.",
        &["pool"],
    ),
    Chapter(
        "Cache: set up",
        "Fill in a configuration, ask for the size of the region, make the cache. Calls may come from any thread.",
        &[
            "cache_config",
            "cache_limits",
            "cache_attach",
            "cache_share",
        ],
    ),
    Chapter(
        "Cache: basic verbs",
        "Set, get, delete; times to live.",
        &["cache"],
    ),
    Chapter(
        "Cache: typed values",
        "Integers, numbers and text.",
        &["cache_typed"],
    ),
    Chapter(
        "Cache: versions, tags, leases",
        "Conditions on a set, bits of the host's, one fetcher of many, values changed in place.",
        &["cache_item", "cache_change"],
    ),
    Chapter(
        "Cache: batches",
        "Many requests in one call.",
        &["cache_many"],
    ),
    Chapter(
        "Cache: views and reservations",
        "Values read and written where they are, without a copy.",
        &["cache_view"],
    ),
    Chapter(
        "Cache: limits, optimize, scans",
        "The whole cache: its limit, its clock, memory given back, all items in turn.",
        &["cache_whole", "cache_advice"],
    ),
    Chapter(
        "Cache: statistics",
        "Counters, bytes of each owner, single pages.",
        &["cache_stats", "cache_print"],
    ),
    Chapter(
        "Monitor",
        "Checks a cache at an interval, by the host's tick or in a thread.",
        &["monitor", "monitor_thread"],
    ),
];

/// A declaration with its comment: where it has its place, and its lines.
struct Block<'a> {
    place: (usize, usize, usize),
    lines: &'a [String],
}

/// Sorts the declarations of a header into chapters, each with a banner. `sources` gives the text of a file of src/ffi.
///
/// # Panics
/// Where a declaration has no chapter.
pub(crate) fn in_chapters(lines: &[String], sources: &dyn Fn(&str) -> String) -> Vec<String> {
    let texts: Vec<(usize, usize, String)> = files()
        .map(|(chapter, at, file)| (chapter, at, sources(file)))
        .collect();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut blocks = Vec::new();
    for block in lines
        .split(|line| line.is_empty())
        .filter(|block| !block.is_empty())
    {
        match name(block).filter(|_| !first.is_empty()) {
            Some(name) => blocks.push(Block {
                place: place(&name, &texts),
                lines: block,
            }),
            None if blocks.is_empty()
                || block.iter().any(|line| line.contains("extern \"C\" {")) =>
            {
                first.push(block);
            }
            None => last.push(block),
        }
    }
    blocks.sort_by_key(|block| block.place);
    let mut out = Vec::new();
    let mut add = |block: &[String]| {
        out.extend_from_slice(block);
        out.push(String::new());
    };
    first.into_iter().for_each(&mut add);
    let mut current = usize::MAX;
    for block in blocks {
        if block.place.0 != current {
            current = block.place.0;
            add(&banner(&CHAPTERS[current]));
        }
        add(block.lines);
    }
    last.into_iter().for_each(&mut add);
    out.pop();
    out
}

fn files() -> impl Iterator<Item = (usize, usize, &'static str)> {
    CHAPTERS
        .iter()
        .enumerate()
        .flat_map(|(chapter, Chapter(_, _, files))| {
            files
                .iter()
                .enumerate()
                .map(move |(at, file)| (chapter, at, *file))
        })
}

fn banner(Chapter(title, introduction, _): &Chapter) -> Vec<String> {
    let rule = "=".repeat(76);
    let mut banner = vec![format!("// {rule}"), format!("// {title}")];
    if !introduction.is_empty() {
        banner.push(format!("// {introduction}"));
    }
    banner.push(format!("// {rule}"));
    banner
}

/// What a block of lines declares.
fn name(block: &[String]) -> Option<String> {
    let line = block.iter().find(|line| {
        let is_code =
            !line.starts_with("//") && !line.starts_with("#if") && !line.starts_with("#endif");
        is_code && line.to_lowercase().contains("larder_") && !line.starts_with("#define LARDER_H")
    })?;
    let end = match line.strip_prefix("typedef ") {
        Some(declared) if declared.starts_with("struct ") => {
            return word_after(declared, "struct ");
        }
        Some(_) if line.contains("(*") => return word_after(line, "(*"),
        Some(_) => line.len() - 1,
        None if line.starts_with("#define ") => return word_after(line, "#define "),
        None => line.find('(')?,
    };
    let mut words = line[..end].split(|c: char| !is_word(c));
    words.next_back().map(str::to_owned)
}

fn word_after(line: &str, before: &str) -> Option<String> {
    let (_, rest) = line.split_once(before)?;
    Some(rest.chars().take_while(|c| is_word(*c)).collect())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Chapter, file of the chapter, and byte of the file.
fn place(name: &str, texts: &[(usize, usize, String)]) -> (usize, usize, usize) {
    let declarations = ["const", "struct", "type", "fn"].map(|kind| format!(" {kind} {name}"));
    for (chapter, file, text) in texts {
        let at = declarations.iter().find_map(|declaration| {
            let mut found = text.match_indices(declaration);
            found.find(|(at, _)| !text[at + declaration.len()..].starts_with(is_word))
        });
        if let Some((at, _)) = at {
            return (*chapter, *file, at);
        }
    }
    panic!(
        "{name} has no chapter in include/larder.h: name its file of src/ffi in tests/header/chapters.rs"
    );
}
