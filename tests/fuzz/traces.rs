//! The reader of traces, with files of any bytes. Compressed files are left out: ruzstd 0.8.3, the benchmark's
//! decoder, panics on a damaged frame.
#![no_main]
#![allow(dead_code)]

mod cache {
    pub(crate) use larder::KEY_LEN_MAX;

    /// As in the benchmark.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Item {
        pub(crate) key_len: usize,
        pub(crate) value_len: usize,
    }

    impl Item {
        pub(crate) fn key_len(self) -> usize {
            self.key_len.clamp(4, KEY_LEN_MAX)
        }
    }
}

#[path = "../../benches/hitratio/trace.rs"]
mod trace;

use libfuzzer_sys::fuzz_target;
use trace::{SizedTrace, Trace};

fuzz_target!(|data: &[u8]| {
    let Some((&kind, bytes)) = data.split_first() else {
        return;
    };
    let end = ["ids", "csv"][usize::from(kind) % 2];
    let path = std::env::temp_dir().join(format!("larder-fuzz-{}.{end}", std::process::id()));
    std::fs::write(&path, bytes).expect("a place for temporary files");
    if end.starts_with("ids") {
        if let Ok(Some(trace)) = Trace::read(&path, 10_000) {
            assert!(trace.ids.iter().all(|&id| (id as usize) < trace.keys));
        }
    } else if let Ok(Some(trace)) = SizedTrace::read(&path, 10_000) {
        assert!(
            trace
                .requests
                .iter()
                .all(|request| (request.id as usize) < trace.keys)
        );
        trace.footprint();
    }
    std::fs::remove_file(&path).expect("it was written");
});
