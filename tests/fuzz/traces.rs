//! The reader of traces, with files of any bytes. Not packed ones: ruzstd 0.8.3, which unpacks those, panics where a
//! frame is damaged.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/bin/larder-tool/trace/mod.rs"]
mod trace;

use libfuzzer_sys::fuzz_target;
use trace::{Lengths, Trace};

fuzz_target!(|data: &[u8]| {
    let Some((&kind, bytes)) = data.split_first() else {
        return;
    };
    let end = ["ids", "csv", "txt"][usize::from(kind) % 3];
    let path = std::env::temp_dir().join(format!("larder-fuzz-{}.{end}", std::process::id()));
    std::fs::write(&path, bytes).expect("a place for temporary files");
    let lengths = Lengths { key: 8, value: 8 };
    if let Ok(trace) = Trace::read(&path, None, lengths) {
        let mut requests = trace.requests.iter();
        assert!(requests.all(|one| (one.id as usize) < trace.keys && one.key_len >= 4));
        trace.mean_lengths();
    }
    std::fs::remove_file(&path).expect("it was written");
});
