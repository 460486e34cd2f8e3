use super::*;
use std::path::Path;

const STATS: usize = size_of::<larder::ffi::cache_stats::larder_cache_stats_t>();
const OWNER: usize = size_of::<larder::ffi::cache_stats::larder_class_stats>();
const CONFIG: usize = size_of::<larder::ffi::cache_config::larder_cache_config>();

/// A file as a program writes it, with so many hits and as many misses.
fn file(sequence: u32, time_ms: u64, hits: u64) -> Vec<u8> {
    let mut bytes = b"larder-1".to_vec();
    for number in [STATS as u32, OWNER as u32, CONFIG as u32, 77, sequence, 0] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes.extend(time_ms.to_ne_bytes());
    let mut stats = vec![0; STATS];
    // Of the structure in include/larder.h: struct_size, abi_version, item_count, hits, misses.
    for (at, number) in [(8, 5), (16, hits), (24, hits)] {
        stats[at..at + 8].copy_from_slice(&u64::to_ne_bytes(number));
    }
    bytes.extend(stats);
    bytes.extend(vec![0; 4 * OWNER + CONFIG]);
    bytes
}

fn sample(time_ms: u64, hits: u64) -> Sample {
    Sample::parse(&file(2, time_ms, hits)).unwrap()
}

#[test]
fn rates_are_of_two_samples() {
    let mut view = View::new(Path::new("test.stats"), sample(1000, 100));
    assert!(frame(&view).unwrap().contains("50.0% since the start"));
    view.add(sample(3000, 1100));
    let text = frame(&view).unwrap();
    assert!(text.contains("test.stats: process 77"), "{text}");
    assert!(text.contains("50.0% now, 50.0% since the start"), "{text}");
    let line = text.lines().find(|line| line.contains("gets")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..3], ["│gets", "2,200", "1,000"], "{text}");
    assert!(text.contains("has the program ended?"), "{text}");
}

#[test]
fn a_cache_that_starts_anew_has_no_rate_yet() {
    let mut view = View::new(Path::new("test.stats"), sample(1000, 100));
    view.add(sample(2000, 10));
    let text = frame(&view).unwrap();
    let line = text.lines().find(|line| line.contains("gets")).unwrap();
    assert_eq!(line.split_whitespace().nth(2), Some("-"), "{text}");
}

#[test]
fn what_is_no_such_file_is_refused() {
    assert!(Sample::parse(b"").is_none());
    assert!(Sample::parse(b"larder-1").is_none());
    let mut huge = file(2, 0, 0);
    huge[8..12].copy_from_slice(&u32::MAX.to_ne_bytes());
    assert!(Sample::parse(&huge).is_none());
    let whole = file(2, 0, 0);
    assert!(Sample::parse(&whole[..whole.len() - 1]).is_none());
    let path = std::env::temp_dir().join(format!("larder-tool-{}.stats", std::process::id()));
    let error = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = Sample::read(&path).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        error
    };
    assert!(error(b"something else").contains("not a file of statistics"));
    assert!(error(&[0; 500]).contains("no statistics yet"));
    assert!(error(&file(3, 0, 0)).contains("ended while it wrote them"));
    assert!(error(b"").contains("no statistics yet"));
}

#[test]
fn a_version_with_fewer_fields_is_read() {
    let mut bytes = file(2, 1000, 9);
    let short = 32;
    bytes[8..12].copy_from_slice(&(short as u32).to_ne_bytes());
    let bytes = [&bytes[..40 + short], &bytes[40 + STATS..]].concat();
    let sample = Sample::parse(&bytes).unwrap();
    assert_eq!(
        (sample.stats.hits, sample.stats.misses, sample.stats.sets),
        (9, 9, 0)
    );
}
