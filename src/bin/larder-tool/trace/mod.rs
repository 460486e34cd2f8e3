//! Recorded requests, from a file.
//!
//! # Formats
//! | name | what it is |
//! |---|---|
//! | `.ids` | the number of a key for each get, as 4 little-endian bytes |
//! | `.csv` | a request a line: `time_s,key_id,key_size,value_size,op,ttl_s` |
//! | begins with `key=` | a dump of memcached's keys (`lru_crawler metadump`): a set for each |
//! | any other | text: the key of a get in each line |
//!
//! Each may be packed by zstd, in a file that ends in `.zst`. `-` is the standard input.

mod csv;
mod dump;
mod ids;
mod packed;
mod text;

use packed::Frames;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::fs::File;
use std::hash::Hash;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Bytes of the number that a key begins with in a replay.
pub(crate) const NUMBER: usize = size_of::<u32>();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Get,
    Set,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) time_ms: u64,
    /// The number of the key, below `Trace::keys`.
    pub(crate) id: u32,
    pub(crate) value_len: u32,
    /// 0 = never expires.
    pub(crate) ttl_s: u32,
    /// Room for the key's number, and no more than any cache takes.
    pub(crate) key_len: u8,
    pub(crate) op: Op,
}

impl Request {
    /// Bytes of key and value.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.key_len) + u64::from(self.value_len)
    }

    /// The time from which an item that this request sets is expired.
    pub(crate) fn expires_ms(&self) -> u64 {
        match self.ttl_s {
            0 => u64::MAX,
            ttl => self.time_ms.saturating_add(u64::from(ttl) * 1000),
        }
    }
}

/// Requests in order.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) requests: Vec<Request>,
    /// Distinct keys.
    pub(crate) keys: usize,
}

/// Lengths of items where a format does not tell them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) key: u8,
    pub(crate) value: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Ids,
    Csv,
    Dump,
    Text,
}

impl Format {
    /// What the name of a file says; `None` where its content has to.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        match name.strip_suffix(".zst").unwrap_or(name).rsplit_once('.')? {
            (_, "ids") => Some(Self::Ids),
            (_, "csv") => Some(Self::Csv),
            _ => None,
        }
    }
}

impl Trace {
    /// Reads a whole trace. An error names file and line.
    pub(crate) fn read(path: &Path, format: Option<Format>, lengths: Lengths) -> Result<Self> {
        let shown = path.display().to_string();
        let mut bytes = open(path).map_err(|error| format!("{shown}: {error}"))?;
        let format = match format.or_else(|| Format::of(path)) {
            Some(format) => format,
            None => guess(&mut bytes).map_err(|error| format!("{shown}: {error}"))?,
        };
        let (requests, keys) = match format {
            Format::Ids => ids::read(bytes, &shown, lengths)?,
            Format::Csv => csv::read(Lines::new(bytes, &shown))?,
            Format::Dump => dump::read(Lines::new(bytes, &shown))?,
            Format::Text => text::read(Lines::new(bytes, &shown), lengths)?,
        };
        if requests.is_empty() {
            return Err(format!("{shown}: there is no request in it").into());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.split('.').next().unwrap_or_default();
        Ok(Self {
            name: if name == "-" { "trace" } else { name }.to_owned(),
            requests,
            keys,
        })
    }

    pub(crate) fn gets(&self) -> u64 {
        let gets = self.requests.iter().filter(|one| one.op == Op::Get);
        gets.count() as u64
    }

    /// Whether all items have as many bytes: only then is there a known optimum.
    pub(crate) fn is_of_one_size(&self) -> bool {
        let bytes = self.requests[0].bytes();
        self.requests.iter().all(|one| one.bytes() == bytes)
    }

    /// The longest value.
    pub(crate) fn value_len_max(&self) -> usize {
        let lengths = self.requests.iter().map(|one| one.value_len);
        lengths.max().unwrap_or(0) as usize
    }

    /// Mean lengths of key and value over the distinct keys, rounded up, as last requested.
    pub(crate) fn mean_lengths(&self) -> (usize, usize) {
        let mut last = vec![(0, 0); self.keys];
        for one in &self.requests {
            last[one.id as usize] = (u64::from(one.key_len), u64::from(one.value_len));
        }
        let mean = |sum: u64| sum.div_ceil(self.keys.max(1) as u64) as usize;
        let keys = last.iter().map(|(key, _)| key).sum();
        let values = last.iter().map(|(_, value)| value).sum();
        (mean(keys), mean(values))
    }
}

fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let bytes: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path)?)
    };
    let bytes = BufReader::with_capacity(1 << 16, bytes);
    if path.extension().is_none_or(|end| end != "zst") {
        return Ok(Box::new(bytes));
    }
    Ok(Box::new(BufReader::with_capacity(
        1 << 16,
        Frames::new(bytes)?,
    )))
}

fn guess(bytes: &mut impl BufRead) -> io::Result<Format> {
    let is_dump = bytes.fill_buf()?.starts_with(b"key=");
    Ok(if is_dump { Format::Dump } else { Format::Text })
}

/// Lines of a file, without their ends, and the number of the last one.
struct Lines<'n, R> {
    bytes: R,
    name: &'n str,
    number: u64,
    line: Vec<u8>,
}

impl<'n, R: BufRead> Lines<'n, R> {
    fn new(bytes: R, name: &'n str) -> Self {
        Self {
            bytes,
            name,
            number: 0,
            line: Vec::new(),
        }
    }

    fn next(&mut self) -> Result<Option<&[u8]>> {
        self.line.clear();
        let len = self.bytes.read_until(b'\n', &mut self.line);
        let len = len.map_err(|error| format!("{}: {error}", self.name))?;
        self.number += 1;
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Ok((len > 0).then_some(line))
    }

    /// An error in the line that was read last.
    fn error(&self, what: impl std::fmt::Display) -> Box<dyn Error + Send + Sync> {
        format!("{}:{}: {what}", self.name, self.number).into()
    }
}

/// Numbers keys from 0 in the order of their first requests.
struct Numbers<K>(HashMap<K, u32>);

impl<K: Eq + Hash> Numbers<K> {
    fn new() -> Self {
        Self(HashMap::new())
    }

    fn of(&mut self, key: K) -> u32 {
        let next = self.0.len() as u32;
        match self.0.entry(key) {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(free) => *free.insert(next),
        }
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

/// The length of a key in a replay; `None` where no cache takes it.
fn key_len(len: usize) -> Option<u8> {
    u8::try_from(len.max(NUMBER)).ok()
}
