//! Recorded requests, from a file.
//!
//! # Formats
//! - `NAME.ids`: a key's number for each request, as 4 little-endian bytes.
//! - `NAME.csv`: a header line, then `time_s,key_id,key_size,value_size,op,ttl_s`, where `op` is get,
//!   set or delete, and a `ttl_s` of 0 is none.
//!
//! Both may be compressed: `.ids.zst`, `.csv.zst`.

use crate::cache::Item;
use ruzstd::decoding::StreamingDecoder;
use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

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

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Get,
    Set,
    Delete,
}

/// The format of a file, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Ids,
    Csv,
}

impl Format {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        match name.strip_suffix(".zst").unwrap_or(name).rsplit_once('.')? {
            (_, "ids") => Some(Self::Ids),
            (_, "csv") => Some(Self::Csv),
            _ => None,
        }
    }
}

/// The traces in a directory, by name.
pub(crate) fn files_in(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries: Result<Vec<_>, _> = std::fs::read_dir(directory)?.collect();
    let mut files: Vec<_> = entries?.iter().map(std::fs::DirEntry::path).collect();
    files.retain(|path| Format::of(path).is_some());
    files.sort();
    Ok(files)
}

fn open(path: &Path) -> Result<Box<dyn Read>, Box<dyn Error>> {
    let file = BufReader::new(File::open(path)?);
    Ok(if path.extension().is_some_and(|end| end == "zst") {
        Box::new(StreamingDecoder::new(file)?)
    } else {
        Box::new(file)
    })
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

impl Trace {
    /// Numbers the keys from 0 in the order of their first requests.
    pub(crate) fn new(name: String, mut ids: Vec<u32>) -> Self {
        let keys = renumber(ids.iter_mut());
        Self { name, ids, keys }
    }

    /// `None` for more than `requests_max` requests.
    pub(crate) fn read(path: &Path, requests_max: usize) -> Result<Option<Self>, Box<dyn Error>> {
        let mut bytes = Vec::new();
        let len_max = requests_max.saturating_mul(size_of::<u32>()) as u64;
        open(path)?
            .take(len_max.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > len_max {
            return Ok(None);
        }
        let (words, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err("its length is no multiple of 4".into());
        }
        let ids = words.iter().map(|&word| u32::from_le_bytes(word)).collect();
        Ok(Some(Self::new(name_of(path), ids)))
    }
}

impl SizedTrace {
    /// `None` for more than `requests_max` requests.
    pub(crate) fn read(path: &Path, requests_max: usize) -> Result<Option<Self>, Box<dyn Error>> {
        let mut requests = Vec::new();
        for (number, line) in BufReader::new(open(path)?).lines().enumerate().skip(1) {
            if requests.len() == requests_max {
                return Ok(None);
            }
            let request = Request::parse(&line?);
            requests.push(request.ok_or_else(|| format!("line {} is no request", number + 1))?);
        }
        let keys = renumber(requests.iter_mut().map(|request| &mut request.id));
        Ok(Some(Self {
            name: name_of(path),
            requests,
            keys,
        }))
    }

    /// Bytes of the keys and values in an unlimited cache at the trace's end.
    pub(crate) fn footprint(&self) -> u64 {
        let mut bytes = vec![0; self.keys];
        for request in &self.requests {
            bytes[request.id as usize] = request.bytes();
        }
        bytes.iter().sum()
    }
}

impl Request {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.trim_end().split(',');
        let mut next = || fields.next();
        let time_s: f64 = next()?.parse().ok()?;
        let id = next()?.parse().ok()?;
        let item = Item {
            key_len: next()?.parse::<u32>().ok()? as usize,
            value_len: next()?.parse::<u32>().ok()? as usize,
        };
        let op = match next()? {
            "get" => Op::Get,
            "set" => Op::Set,
            "delete" => Op::Delete,
            _ => return None,
        };
        let ttl_s: f64 = next()?.parse().ok()?;
        Some(Self {
            time_ms: (time_s * 1e3) as u64,
            id,
            item,
            op,
            ttl_ms: (ttl_s > 0.0).then_some((ttl_s * 1e3) as u64),
        })
    }

    /// Bytes of key and value.
    pub(crate) fn bytes(&self) -> u64 {
        (self.item.key_len() + self.item.value_len) as u64
    }
}

/// Numbers keys from 0 in the order of their first requests. Returns their number.
fn renumber<'a>(ids: impl Iterator<Item = &'a mut u32>) -> usize {
    let mut numbers = HashMap::new();
    for id in ids {
        let next = numbers.len() as u32;
        *id = *numbers.entry(*id).or_insert(next);
    }
    numbers.len()
}
