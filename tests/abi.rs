//! Every struct of the C interface has in Rust the size and the offsets of `tests/abi/larder.abi`. C compilers made
//! that file from the header, for each kind of machine.

use larder::ffi::{
    arena::*, cache_advice::*, cache_attach::*, cache_change::*, cache_config::*, cache_item::*,
    cache_limits::*, cache_many::*, cache_stats::*, cache_view::*, cache_whole::*, monitor::*,
    pool::*,
};
use std::mem::offset_of;

const MANIFEST: &str = include_str!("abi/larder.abi");
const LAYOUT: &[(&str, usize)] = &include!("abi/layout.rs");

/// The manifest's column for this machine.
fn column() -> usize {
    match (size_of::<usize>(), align_of::<u64>()) {
        (8, _) => 0,
        (_, 8) => 1,
        _ => 2,
    }
}

/// Names and numbers of structs and fields.
fn manifest() -> Vec<(&'static str, usize)> {
    let of_line = |line: &'static str| {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let name = words.next()?;
        let number = || words.nth(column())?.parse().ok();
        ["struct", "field"]
            .contains(&kind)
            .then(number)?
            .map(|number| (name, number))
    };
    MANIFEST.lines().filter_map(of_line).collect()
}

#[test]
fn structs_have_the_same_layout_in_rust_and_c() {
    let manifest = manifest();
    assert!(manifest.len() > 200, "{} lines", manifest.len());
    for (ours, theirs) in LAYOUT.iter().zip(&manifest) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(LAYOUT.len(), manifest.len());
}
