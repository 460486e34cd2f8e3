//! Recorded requests, from a file that larder-tool's reader reads: `.ids`, `.csv`, and both packed by zstd.

#[allow(dead_code)] // It reads other formats, too.
#[path = "../../src/bin/larder-tool/trace/mod.rs"]
mod recorded;

use crate::cache::Item;
pub(crate) use recorded::{Format, Op};
use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Where a trace tells no lengths, its reader takes these; the benchmark then takes others.
const LENGTHS: recorded::Lengths = recorded::Lengths { key: 8, value: 0 };

/// Requests for items of one size.
pub(crate) struct Trace {
    pub(crate) name: String,
    /// Keys' numbers, each below `keys`.
    pub(crate) ids: Vec<u32>,
    /// Distinct keys.
    pub(crate) keys: usize,
}

/// Requests for items of their own sizes.
pub(crate) struct SizedTrace {
    pub(crate) name: String,
    pub(crate) requests: Vec<Request>,
    pub(crate) keys: usize,
}

#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) time_ms: u64,
    pub(crate) id: u32,
    pub(crate) item: Item,
    pub(crate) op: Op,
    pub(crate) ttl_ms: Option<u64>,
}

/// The traces in a directory, by name.
pub(crate) fn files_in(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries: Result<Vec<_>, _> = std::fs::read_dir(directory)?.collect();
    let mut files: Vec<_> = entries?.iter().map(std::fs::DirEntry::path).collect();
    files.retain(|path| Format::of(path).is_some());
    files.sort();
    Ok(files)
}

/// `None` for more than `requests_max` requests.
fn read(path: &Path, requests_max: usize) -> Result<Option<recorded::Trace>, Box<dyn Error>> {
    let trace =
        recorded::Trace::read(path, None, LENGTHS).map_err(|error| -> Box<dyn Error> { error })?;
    Ok(Some(trace).filter(|trace| trace.requests.len() <= requests_max))
}

impl Trace {
    /// Numbers the keys from 0 in the order of their first requests.
    pub(crate) fn new(name: String, mut ids: Vec<u32>) -> Self {
        let mut numbers = HashMap::new();
        for id in &mut ids {
            let next = numbers.len() as u32;
            *id = *numbers.entry(*id).or_insert(next);
        }
        let keys = numbers.len();
        Self { name, ids, keys }
    }

    /// `None` for more than `requests_max` requests.
    pub(crate) fn read(path: &Path, requests_max: usize) -> Result<Option<Self>, Box<dyn Error>> {
        let of = |trace: recorded::Trace| Self {
            ids: trace.requests.iter().map(|one| one.id).collect(),
            name: trace.name,
            keys: trace.keys,
        };
        Ok(read(path, requests_max)?.map(of))
    }
}

impl SizedTrace {
    /// `None` for more than `requests_max` requests.
    pub(crate) fn read(path: &Path, requests_max: usize) -> Result<Option<Self>, Box<dyn Error>> {
        let of = |trace: recorded::Trace| Self {
            requests: trace.requests.iter().map(Request::from).collect(),
            name: trace.name,
            keys: trace.keys,
        };
        Ok(read(path, requests_max)?.map(of))
    }

    /// Bytes of the keys and values that the trace leaves behind.
    pub(crate) fn footprint(&self) -> u64 {
        let mut bytes = vec![0; self.keys];
        for request in &self.requests {
            bytes[request.id as usize] = request.bytes();
        }
        bytes.iter().sum()
    }
}

impl From<&recorded::Request> for Request {
    fn from(one: &recorded::Request) -> Self {
        Self {
            time_ms: one.time_ms,
            id: one.id,
            item: Item {
                key_len: one.key_len.into(),
                value_len: one.value_len as usize,
            },
            op: one.op,
            ttl_ms: (one.ttl_s > 0).then(|| u64::from(one.ttl_s) * 1000),
        }
    }
}

impl Request {
    /// Bytes of key and value.
    pub(crate) fn bytes(&self) -> u64 {
        (self.item.key_len() + self.item.value_len) as u64
    }
}
